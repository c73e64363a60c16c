//! Where the network and chance come from: the host, or with the feature `sim` a network in memory
//! (`sim`), for tests that must be able to repeat a run exactly.
//!
//! Everything that makes sockets, client and servers alike, takes their types from here.

#[cfg(feature = "sim")]
pub use super::sim::{TcpListener, TcpSocket, TcpStream, chance, is_quiet, lookup_host};
#[cfg(not(feature = "sim"))]
pub use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// Whether nothing has come in that was not read, the end of the stream included.
#[cfg(not(feature = "sim"))]
pub fn is_quiet(stream: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    let peeked = socket2::SockRef::from(stream).peek(&mut byte);
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A number to choose by, for choices that need not be hard to guess.
#[cfg(not(feature = "sim"))]
pub fn chance() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(now.unwrap_or_default().subsec_nanos())
}
