//! What tracker and storage share as network servers: listening, connections with bounded buffers
//! and waits, and an orderly end.

mod blocking;
mod buffers;
mod conn;
mod listener;
pub mod log;
pub mod process;
mod turn;

pub(crate) use blocking::blocking;
pub use buffers::{BUFFER_LARGE_LEN, BUFFER_SMALL_LEN, Buffer, Buffers};
pub use conn::{Conn, ConnError, ConnLimits, Request};
pub use listener::{ConnCounts, Server, ServerOptions, bind_all};
pub use turn::after_others;
