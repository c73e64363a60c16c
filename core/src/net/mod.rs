//! Sockets and the clock: connections to servers, and the pool that keeps them.
#![allow(clippy::disallowed_methods, reason = "this is where sockets and the clock live")]

mod conn;
mod connect;
mod limits;
mod pool;
#[cfg(feature = "sim")]
pub mod sim;
pub mod world;

pub use conn::{AHEAD_MAX, Ahead, CHUNK_LEN, Conn};
pub use connect::ConnectOptions;
pub use limits::{Cancel, Limits};
pub use pool::{Pool, PoolOptions, PoolStats, Pooled, Refusal};
