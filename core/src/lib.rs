//! The FastDFS protocol, file ids, configuration and client: everything that servers, tools and
//! language bindings share.
//!
//! Modules without sockets, clock or randomness come first and build alone with
//! `--no-default-features`: [`wire`], [`protocol`], [`file_id`], [`config`], [`token`],
//! [`exchange`], [`route`]. The feature
//! `net` (on by default) adds the sockets and the client on top of them.

#![forbid(unsafe_code)]

#[cfg(feature = "net")]
pub mod client;
pub mod config;
pub mod error;
pub mod exchange;
pub mod file_id;
#[cfg(feature = "net")]
pub mod net;
pub mod protocol;
pub mod route;
pub mod token;
pub mod wire;

pub use error::{Error, ErrorKind, Result};

/// Version of the core, which all clients and servers made with it share.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
