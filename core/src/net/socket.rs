//! A client's socket. Polled by a call that waits on its own thread, it is waited for there
//! ([`super::waiting`]); polled by a task, it is registered with the task's runtime.

use super::early::{EARLY_LEN, Early};
use super::waiting;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::{Domain, Protocol, SockRef, Type};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Longest wait in a read. Answers mostly come sooner; whoever waits for longer does so in `poll(2)`,
/// which costs another call of the system and knows the time better.
pub(super) const READ_WAIT: Duration = Duration::from_millis(40);
/// All calls but the wait in a read return at once.
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
const RECV: RecvFlags = RecvFlags::DONTWAIT;

/// A socket that no runtime knows.
#[derive(Debug)]
pub(super) struct Socket {
    stream: std::net::TcpStream,
    /// For what it may be ready ([`PollFlags`]): only then a call of the system is worth it.
    ready: AtomicU16,
    /// For whoever polls it, and waits for it on the same thread.
    reads: Mutex<Reads>,
}

/// What belongs to reading.
#[derive(Debug, Default)]
struct Reads {
    early: Early,
    /// What ended the wait in a read, for the one who asks next.
    failed: Option<io::Error>,
    /// Whether a read may wait.
    can_wait: bool,
}

impl Socket {
    fn new(stream: std::net::TcpStream, early: Early) -> Arc<Self> {
        let reads = Mutex::new(Reads { early, ..Reads::default() });
        Arc::new(Self { stream, ready: AtomicU16::new(0), reads })
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to read by reading it: one call of the system instead of two. `false`
    /// when nothing has come in time.
    pub(super) fn wait_reading(&self) -> bool {
        let mut reads = self.reads();
        if !reads.can_wait {
            let set = self.stream.set_read_timeout(Some(READ_WAIT));
            reads.can_wait = set.and_then(|()| self.stream.set_nonblocking(false)).is_ok();
        }
        if !reads.can_wait {
            return false;
        }
        let received = reads.early.fill(|room| {
            let received = receive(&self.stream, room, RecvFlags::empty());
            (received.unwrap_or(0), received)
        });
        match received {
            // There may be more; and the end is there for whoever asks next, too.
            Ok(EARLY_LEN | 0) => self.set_ready(PollFlags::IN),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(error) => reads.failed = Some(error.into()),
        }
        true
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
        io: impl FnOnce(&std::net::TcpStream) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.is_ready(flags) {
            let done = io(&self.stream).map_err(io::Error::from);
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

    fn poll_read(
        self: &Arc<Self>,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut reads = self.reads();
        if let Some(error) = reads.failed.take() {
            return Poll::Ready(Err(error));
        }
        let is_short = buffer.remaining() < EARLY_LEN;
        let read = reads.early.poll_read(buffer, |buffer| {
            let room = buffer.initialize_unfilled();
            let len = room.len();
            let read = |stream: &std::net::TcpStream| receive(stream, room, RECV);
            let read = ready!(self.poll_io(context, PollFlags::IN, len, read))?;
            buffer.advance(read);
            Poll::Ready(Ok(()))
        });
        if is_short && read.is_pending() {
            waiting::may_read(context);
        }
        read
    }
}

fn receive(stream: impl AsFd, room: &mut [u8], flags: RecvFlags) -> rustix::io::Result<usize> {
    recv(stream, room, flags).map(|(len, _)| len)
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
    Registered(TcpStream, Early),
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
        let mut stream = Self(State::Here(Socket::new(socket.into(), Early::default())));
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
            State::Registered(stream, _) => stream.poll_write_ready(context),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }

    fn socket(&self) -> io::Result<SockRef<'_>> {
        match &self.0 {
            State::Here(socket) => Ok(SockRef::from(&socket.stream)),
            State::Registered(stream, _) => Ok(SockRef::from(stream)),
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

    /// Whether something was read that nobody has asked for yet.
    pub(crate) fn has_early(&self) -> bool {
        match &self.0 {
            State::Here(socket) => !socket.reads().early.is_empty(),
            State::Registered(_, early) => !early.is_empty(),
            State::Closed => false,
        }
    }

    /// What was read that nobody has asked for yet, as far as it can be looked at.
    pub(crate) fn early(&self) -> &[u8] {
        match &self.0 {
            State::Registered(_, early) => early.bytes(),
            State::Here(_) | State::Closed => &[],
        }
    }

    /// Forgets so much of it.
    pub(crate) fn skip_early(&mut self, len: usize) {
        if let State::Registered(_, early) = &mut self.0 {
            early.skip(len);
        }
    }

    /// Whether nothing has come in that was not read, the end of the stream included.
    pub(crate) fn is_quiet(&self) -> bool {
        let peeked = match &self.0 {
            State::Here(socket) => peek(&socket.stream, &mut [0]),
            State::Registered(stream, _) => peek(stream, &mut [0]),
            State::Closed => return false,
        };
        matches!(peeked, Err(Errno::AGAIN))
    }

    /// Changes over to whoever polls now.
    fn turn_to(&mut self, context: &Context<'_>) -> io::Result<&mut State> {
        let is_here = waiting::is_here(context);
        if is_here != matches!(self.0, State::Here(_)) {
            self.0 = match std::mem::replace(&mut self.0, State::Closed) {
                State::Here(socket) => {
                    // Others hold it only while the thread that waits for it does so.
                    let Socket { stream, reads, .. } =
                        Arc::into_inner(socket).ok_or_else(closed)?;
                    let reads = reads.into_inner().unwrap_or_else(PoisonError::into_inner);
                    if reads.can_wait {
                        stream.set_nonblocking(true)?;
                    }
                    State::Registered(TcpStream::from_std(stream)?, reads.early)
                }
                State::Registered(stream, early) => {
                    State::Here(Socket::new(stream.into_std()?, early))
                }
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
                let peek = |stream: &std::net::TcpStream| peek(stream, room);
                let peeked = ready!(socket.poll_io(context, PollFlags::IN, 0, peek))?;
                buffer.advance(peeked);
                Poll::Ready(Ok(peeked))
            }
            State::Registered(stream, _) => stream.poll_peek(context, buffer),
            State::Closed => Poll::Ready(Err(closed())),
        }
    }
}

fn peek(stream: impl AsFd, room: &mut [u8]) -> rustix::io::Result<usize> {
    receive(stream, room, RECV.union(RecvFlags::PEEK))
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
            State::Here(socket) => socket.poll_read(context, buffer),
            State::Registered(stream, early) => {
                early.poll_read(buffer, |buffer| Pin::new(stream).poll_read(context, buffer))
            }
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
                let write = |stream: &std::net::TcpStream| send(stream, bytes, SEND);
                socket.poll_io(context, PollFlags::OUT, bytes.len(), write)
            }
            State::Registered(stream, _) => Pin::new(stream).poll_write(context, bytes),
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
                let mut nothing = SendAncillaryBuffer::default();
                let write =
                    |stream: &std::net::TcpStream| sendmsg(stream, bytes, &mut nothing, SEND);
                socket.poll_io(context, PollFlags::OUT, len, write)
            }
            State::Registered(stream, _) => Pin::new(stream).poll_write_vectored(context, bytes),
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
