//! Sockets and the clock: connections to servers, and the pool that keeps them.
#![allow(clippy::disallowed_methods, reason = "this is where sockets and the clock live")]

mod conn;
mod pool;

pub use conn::{CHUNK_LEN, Conn, ConnectOptions};
pub use pool::{Pool, PoolOptions, Pooled, ServerPoolStats};
