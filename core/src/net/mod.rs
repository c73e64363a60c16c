//! Sockets and the clock: connections to servers, and the pool that keeps them.
#![allow(clippy::disallowed_methods, reason = "this is where sockets and the clock live")]

mod conn;
mod connect;
mod early;
mod limits;
#[cfg(any(not(target_os = "linux"), feature = "sim"))]
mod on_runtime;
mod pool;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(all(target_os = "linux", not(feature = "sim")))]
mod socket;
mod timer;
#[cfg(all(target_os = "linux", not(feature = "sim")))]
mod waiting;
pub mod world;

pub use conn::{AHEAD_MAX, Ahead, CHUNK_LEN, Conn};
pub use connect::ConnectOptions;
pub use limits::{Cancel, Limits};
pub use pool::{Pool, PoolOptions, PoolStats, Pooled, Refusal};
pub(crate) use timer::sleep_until;
pub(crate) use world::{block_on, process, works_for};
