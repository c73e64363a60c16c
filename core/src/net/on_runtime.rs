//! Where no thread waits by itself, in simulations and on systems for which nobody has tried it,
//! the runtime waits: the same items as in `waiting` and `socket`.

use super::early::Early;
use super::world::{TcpSocket, TcpStream};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>((runtime, _): &(Handle, u32), future: impl Future<Output = T>) -> T {
    runtime.block_on(future)
}

/// This thread does not wait by itself.
pub(crate) fn deadline(_: &Context<'_>, _: Instant) -> bool {
    false
}

/// The process that runs.
pub(crate) fn process() -> u32 {
    std::process::id()
}

/// A thread that a runtime has started.
pub(crate) fn works_for(_: u32) {}

/// A connection of a client.
#[derive(Debug)]
pub(crate) struct Stream(TcpStream, Early);

impl Stream {
    /// Connects, from a local address if one is given.
    pub(crate) async fn connect(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(ip) = bind {
            socket.bind(SocketAddr::new(ip, 0))?;
        }
        let stream = socket.connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream, Early::default()))
    }

    /// The other end.
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    /// Closing it takes back what has not arrived.
    pub(crate) fn set_zero_linger(&self) -> io::Result<()> {
        self.0.set_zero_linger()
    }

    /// Whether something was read that nobody has asked for yet.
    pub(crate) fn has_early(&self) -> bool {
        !self.1.is_empty()
    }

    /// What was read that nobody has asked for yet.
    pub(crate) fn early(&self) -> &[u8] {
        self.1.bytes()
    }

    /// Forgets so much of it.
    pub(crate) fn skip_early(&mut self, len: usize) {
        self.1.skip(len);
    }

    /// Whether nothing has come in that was not read, the end of the stream included.
    #[cfg(feature = "sim")]
    pub(crate) fn is_quiet(&self) -> bool {
        super::sim::is_quiet(&self.0)
    }

    /// Whether nothing has come in that was not read, the end of the stream included.
    #[cfg(not(feature = "sim"))]
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(&self.0).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Looks at what can be read.
    pub(crate) fn poll_peek(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.0.poll_peek(context, buffer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(stream, early) = &mut *self;
        early.poll_read(buffer, |buffer| Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
