//! A client's socket. Polled by a call that waits on its own thread, it is waited for there
//! ([`super::waiting`]); polled by a task, it is registered with the task's runtime.

use super::waiting;
use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Type};
use std::future::poll_fn;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A socket that no runtime knows.
#[derive(Debug)]
pub(super) struct Socket {
    stream: std::net::TcpStream,
    /// For what it may be ready ([`PollFlags`]): only then a call of the system is worth it.
    ready: AtomicU16,
}

impl Socket {
    fn new(stream: std::net::TcpStream) -> Arc<Self> {
        Arc::new(Self { stream, ready: AtomicU16::new(0) })
    }

    /// Notes what `poll(2)` said. An error or the end is for whoever reads or writes to find.
    pub(super) fn set_ready(&self, flags: PollFlags) {
        let ended = flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        let flags = if ended { PollFlags::IN | PollFlags::OUT } else { flags };
        self.ready.fetch_or(flags.bits(), Ordering::Relaxed);
    }

    fn is_ready(&self, flags: PollFlags) -> bool {
        self.ready.load(Ordering::Relaxed) & flags.bits() != 0
    }

    fn unset_ready(&self, flags: PollFlags) {
        self.ready.fetch_and(!flags.bits(), Ordering::Relaxed);
    }

    /// Calls the system if the socket may be ready for it, and else wishes that it were. When
    /// fewer than `len` bytes are moved, it is not ready for more.
    fn poll_io(
        self: &Arc<Self>,
        context: &Context<'_>,
        flags: PollFlags,
        len: usize,
        io: impl FnOnce(&std::net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.is_ready(flags) {
            let done = io(&self.stream);
            let would_block = matches!(&done, Err(error) if is_would_block(error));
            if would_block || done.as_ref().is_ok_and(|moved| (1..len).contains(moved)) {
                self.unset_ready(flags);
            }
            if !would_block {
                return Poll::Ready(done);
            }
        }
        waiting::readiness(context, self, flags);
        Poll::Pending
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Who waits for the socket.
#[derive(Debug)]
enum State {
    /// The thread that polls it.
    Here(Arc<Socket>),
    /// The runtime of the task that polls it.
    Registered(TcpStream),
    /// Nobody any more: it could not change from one to the other, and is closed.
    Closed,
}

/// A connection that can be polled both ways.
#[derive(Debug)]
pub(crate) struct Stream(State);

impl Stream {
    /// Connects, from a local address if one is given.
    pub(crate) async fn connect(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self> {
        let domain = Domain::for_address(addr);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        if let Some(ip) = bind {
            socket.bind(&SocketAddr::new(ip, 0).into())?;
        }
        let under_way = match socket.connect(&addr.into()) {
            Ok(()) => false,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INPROGRESS | Errno::INTR) => true,
                _ => return Err(error),
            },
        };
        socket.set_tcp_nodelay(true)?;
        let mut stream = Self(State::Here(Socket::new(socket.into())));
        if under_way {
            poll_fn(|context| stream.poll_connected(context)).await?;
        }
        match stream.socket()?.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    fn poll_connected(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.turn_to(context)? {
            State::Here(socket) => {
                socket.poll_io(context, PollFlags::OUT, 0, |_| Ok(0)).map_ok(|_| ())
            }
            State::Registered(stream) => stream.poll_write_ready(context),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }

    fn socket(&self) -> io::Result<SockRef<'_>> {
        match &self.0 {
            State::Here(socket) => Ok(SockRef::from(&socket.stream)),
            State::Registered(stream) => Ok(SockRef::from(stream)),
            State::Closed => Err(closed()),
        }
    }

    /// The other end.
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.socket()?.peer_addr()?;
        addr.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Closing it takes back what has not arrived.
    pub(crate) fn set_zero_linger(&self) -> io::Result<()> {
        self.socket()?.set_linger(Some(Duration::ZERO))
    }

    /// Whether nothing has come in that was not read, the end of the stream included.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = self.socket().and_then(|socket| socket.peek(&mut byte));
        peeked.is_err_and(|error| is_would_block(&error))
    }

    /// Changes over to whoever polls now.
    fn turn_to(&mut self, context: &Context<'_>) -> io::Result<&mut State> {
        let is_here = waiting::is_here(context);
        if is_here != matches!(self.0, State::Here(_)) {
            self.0 = match std::mem::replace(&mut self.0, State::Closed) {
                State::Here(socket) => {
                    // Others hold it only while the thread that waits for it does so.
                    let socket = Arc::into_inner(socket).ok_or_else(closed)?;
                    State::Registered(TcpStream::from_std(socket.stream)?)
                }
                State::Registered(stream) => State::Here(Socket::new(stream.into_std()?)),
                State::Closed => State::Closed,
            };
        }
        Ok(&mut self.0)
    }

    /// Looks at what can be read.
    pub(crate) fn poll_peek(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        match self.turn_to(context)? {
            State::Here(socket) => {
                // Nobody has told yet what came since the last wait.
                socket.set_ready(PollFlags::IN);
                let room = buffer.initialize_unfilled();
                let peek = |stream: &std::net::TcpStream| stream.peek(room);
                let peeked = ready!(socket.poll_io(context, PollFlags::IN, 0, peek))?;
                buffer.advance(peeked);
                Poll::Ready(Ok(peeked))
            }
            State::Registered(stream) => stream.poll_peek(context, buffer),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection could not change hands")
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut().turn_to(context)? {
            State::Here(socket) => {
                let room = buffer.initialize_unfilled();
                let len = room.len();
                let read = |mut stream: &std::net::TcpStream| stream.read(room);
                let read = ready!(socket.poll_io(context, PollFlags::IN, len, read))?;
                buffer.advance(read);
                Poll::Ready(Ok(()))
            }
            State::Registered(stream) => Pin::new(stream).poll_read(context, buffer),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().turn_to(context)? {
            State::Here(socket) => {
                // There mostly is room.
                socket.set_ready(PollFlags::OUT);
                let write = |mut stream: &std::net::TcpStream| stream.write(bytes);
                socket.poll_io(context, PollFlags::OUT, bytes.len(), write)
            }
            State::Registered(stream) => Pin::new(stream).poll_write(context, bytes),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().turn_to(context)? {
            State::Here(socket) => {
                socket.set_ready(PollFlags::OUT);
                let len = bytes.iter().map(|slice| slice.len()).sum();
                let write = |mut stream: &std::net::TcpStream| stream.write_vectored(bytes);
                socket.poll_io(context, PollFlags::OUT, len, write)
            }
            State::Registered(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket()?.shutdown(std::net::Shutdown::Write))
    }
}
