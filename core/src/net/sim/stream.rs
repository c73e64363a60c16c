//! A connection.

use super::pipe::{Arrived, Pipe, Segment};
use super::{Network, Power};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

type Timer = Option<Pin<Box<Sleep>>>;

/// A connection of the simulated network.
#[derive(Debug)]
pub struct TcpStream {
    network: Arc<Network>,
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    timer: Timer,
    discards: AtomicBool,
}

impl TcpStream {
    /// The two ends of a connection: the client's, the server's.
    pub(super) fn pair(
        network: &Arc<Network>,
        client: SocketAddr,
        server: SocketAddr,
    ) -> (Self, Self) {
        let (there, back) = Pipe::pair(client, server);
        network.register(&there);
        network.register(&back);
        let end = |incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>| Self {
            network: network.clone(),
            incoming: incoming.clone(),
            outgoing: outgoing.clone(),
            timer: None,
            discards: AtomicBool::new(false),
        };
        (end(&back, &there), end(&there, &back))
    }

    /// Connects from the host whose task this is.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        super::TcpSocket::new_v4()?.connect(addr).await
    }

    /// This end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.outgoing.from)
    }

    /// The other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.outgoing.to)
    }

    /// Here packets never wait to be filled.
    pub fn set_nodelay(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Closing it takes back what has not arrived.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.discards.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn arrived(&self, context: Option<&Context<'_>>) -> Arrived {
        let (from, to) = (self.incoming.from.ip(), self.incoming.to.ip());
        // A host that was stopped hears nothing any more.
        // What is left of a host without power had arrived before.
        let passes = !self.network.is_cut(from, to) && self.network.power(to) == Power::On;
        self.incoming.arrived(passes, context)
    }

    fn poll_arrived(&self, context: &mut Context<'_>, timer: &mut Timer) -> Poll<Arrived> {
        loop {
            let at = match self.arrived(Some(context)) {
                Arrived::At(at) => at,
                Arrived::Nothing => return Poll::Pending,
                arrived => return Poll::Ready(arrived),
            };
            let mut sleep = Box::pin(sleep_until(at));
            if sleep.as_mut().poll(context).is_pending() {
                *timer = Some(sleep);
                return Poll::Pending;
            }
        }
    }

    /// Waits until something can be read.
    pub async fn readable(&self) -> io::Result<()> {
        let mut timer = None;
        poll_fn(|context| self.poll_arrived(context, &mut timer)).await;
        Ok(())
    }

    fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        keep: bool,
    ) -> Poll<io::Result<()>> {
        let mut timer = self.timer.take();
        let arrived = self.poll_arrived(context, &mut timer);
        self.timer = timer;
        arrived.map(|arrived| match arrived {
            Arrived::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            Arrived::Data => {
                self.incoming.read(buffer, keep);
                Ok(())
            }
            _ => Ok(()),
        })
    }

    /// Looks at what can be read.
    pub fn poll_peek(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        self.poll_take(context, buffer, true).map_ok(|()| buffer.filled().len() - before)
    }

    /// Writes what there is room for now.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match self.poll_send(&mut context, bytes) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (from, to) = (self.outgoing.from.ip(), self.outgoing.to.ip());
        if self.network.power(from) != Power::On {
            return Poll::Pending;
        }
        if self.arrived(None) == Arrived::Reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = std::task::ready!(self.outgoing.poll_room(context));
        let len = self.network.taken(bytes.len().min(room));
        let bytes = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
        let at = Instant::now() + self.network.delay(from, to);
        self.outgoing.push(at, Segment::Data(bytes));
        if self.outgoing.is_gone() {
            self.network.answer_for_gone(&self.outgoing);
        }
        Poll::Ready(Ok(len))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_take(context, buffer, false)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (from, to) = (self.outgoing.from.ip(), self.outgoing.to.ip());
        self.outgoing.push(Instant::now() + self.network.delay(from, to), Segment::End);
        Poll::Ready(Ok(()))
    }
}

impl Drop for TcpStream {
    /// What a kernel does when a socket is closed, by its process or for it.
    fn drop(&mut self) {
        let (from, to) = (self.outgoing.from.ip(), self.outgoing.to.ip());
        let unread = self.incoming.leave();
        if self.network.power(from) != Power::Off {
            let discards = self.discards.load(Ordering::Relaxed);
            if discards {
                self.outgoing.forget(self.network.is_cut(from, to));
            }
            let at = Instant::now() + self.network.delay(from, to);
            let resets = unread || discards;
            self.outgoing.push(at, if resets { Segment::Reset } else { Segment::End });
        }
    }
}

/// Whether nothing has come in that was not read, the end of the stream included.
pub fn is_quiet(stream: &TcpStream) -> bool {
    matches!(stream.arrived(None), Arrived::At(_) | Arrived::Nothing)
}
