//! Where the network and chance come from: the host, or with the feature `sim` a network in memory
//! (`sim`), for tests that must be able to repeat a run exactly.
//!
//! Everything that makes sockets, client and servers alike, takes their types from here.

#[cfg(feature = "sim")]
pub use super::sim::{TcpListener, TcpSocket, TcpStream, chance, lookup_host};
#[cfg(not(feature = "sim"))]
pub use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

#[cfg(any(not(target_os = "linux"), feature = "sim"))]
pub(crate) use super::on_runtime::{Stream, block_on, deadline, process, works_for};
#[cfg(all(target_os = "linux", not(feature = "sim")))]
pub(crate) use super::socket::Stream;
#[cfg(all(target_os = "linux", not(feature = "sim")))]
pub(crate) use super::waiting::{block_on, deadline, process, works_for};

/// A number to choose by, for choices that need not be hard to guess.
#[cfg(not(feature = "sim"))]
pub fn chance() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(now.unwrap_or_default().subsec_nanos())
}
