//! The native half of `@fdfs/client`, the client of FastDFS for Node. It converts values, errors,
//! streams and cancellation; the shape that applications see is made of it in `lib/*.cjs`.
//!
//! Every call returns a promise and runs on the runtime of the core, never on the script's thread.

pub mod arguments;
pub mod call;
pub mod client;
pub mod cluster;
mod ends;
pub mod failure;
pub mod ids;
pub mod streams;
pub mod types;

use napi_derive::napi;

/// Version of the core.
#[napi(catch_unwind)]
pub fn version() -> String {
    fdfs_core::VERSION.to_owned()
}
