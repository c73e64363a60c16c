//! One connection of a server: framed requests in, replies out, every wait bounded.

use super::buffers::{BUFFER_LARGE_LEN, BUFFER_SMALL_LEN, Buffer, Buffers};
use super::turn::after_others;
use fdfs_core::net::world::TcpStream;
use fdfs_core::protocol::Status;
use fdfs_core::protocol::frame::{Decoder, Event, FrameError, HEADER_LEN, Header};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnLimits {
    /// Longest request that is not streamed content.
    pub message_len_max: usize,
    /// Longest silence before the first request, inside a request, and while sending.
    pub network_timeout: Duration,
    /// Longest time from the first byte of a request to its last byte before the content.
    pub head_timeout: Duration,
    /// Content slower than this on average is cut off, once [`ConnLimits::content_grace`] passed.
    pub content_rate_min: u64,
    /// How long content may be slow.
    pub content_grace: Duration,
}

impl ConnLimits {
    /// The defaults with the configured `network_timeout`.
    ///
    /// A sender that trickles must not hold a connection slot for ever, but nobody on a thin line
    /// may be cut off whom the original would serve: hence 10 s for the head and 1 KiB/s.
    pub fn new(message_len_max: usize, network_timeout: Duration) -> Self {
        Self {
            message_len_max,
            network_timeout,
            head_timeout: network_timeout.min(Duration::from_secs(10)),
            content_rate_min: 1024,
            content_grace: Duration::from_secs(10),
        }
    }
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum ConnError {
    /// The socket failed, or the peer closed it inside a request.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer's bytes are no packets.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer is too slow.
    #[error("too slow: {0}")]
    Slow(&'static str),
}

/// A request whose bytes before the content have arrived.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The packet's header.
    pub header: Header,
    /// Bytes of content that follow; read them with [`Conn::content`].
    pub content_len: u64,
}

/// A framed connection.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    peer: IpAddr,
    local: IpAddr,
    limits: ConnLimits,
    buffers: Buffers,
    /// Empty while the connection is idle.
    buffer: Buffer,
    /// The bytes of `buffer` received and not used up.
    filled: Range<usize>,
    /// The current request's bytes before its content.
    head: Range<usize>,
    decoder: Decoder,
    served_any: bool,
    /// Whether the last bytes received filled the buffer: more are waiting.
    is_flooded: bool,
    content_since: Option<(Instant, u64)>,
    idle: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

impl Conn {
    pub(super) fn new(
        stream: TcpStream,
        limits: ConnLimits,
        buffers: Buffers,
        idle: Arc<AtomicBool>,
        draining: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            peer: stream.peer_addr()?.ip().to_canonical(),
            local: stream.local_addr()?.ip().to_canonical(),
            stream,
            limits,
            buffers,
            buffer: Buffer::default(),
            filled: 0..0,
            head: 0..0,
            decoder: Decoder::new(limits.message_len_max),
            served_any: false,
            is_flooded: false,
            content_since: None,
            idle,
            draining,
        })
    }

    /// The peer's address.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The address the peer dialled.
    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// Waits for the next request. `None` when the peer is done or the server is closing. Content
    /// of the previous request must have been read or skipped.
    pub async fn next_request(&mut self) -> Result<Option<Request>, ConnError> {
        debug_assert_eq!(self.content_left(), 0, "content left unread");
        self.content_since = None;
        let mut deadline = None;
        loop {
            let received = self.buffer.get(self.filled.clone()).unwrap_or_default();
            match self.decoder.next(received)? {
                (Event::Need(len), _) => {
                    if self.filled.is_empty()
                        && (self.draining.load(Ordering::Relaxed) || !self.wait_idle().await?)
                    {
                        return Ok(None);
                    }
                    let limit = self.limits.head_timeout;
                    let deadline = || *deadline.get_or_insert_with(|| Instant::now() + limit);
                    if !self.receive(len, deadline, "request head").await? {
                        return Ok(None);
                    }
                }
                (Event::Request { header, head, content_len }, used) => {
                    let start = self.filled.start + HEADER_LEN;
                    self.head = start..start + head.len();
                    self.filled.start += used;
                    self.served_any = true;
                    return Ok(Some(Request { header, content_len }));
                }
                (Event::Content(_), _) => return Err(io::Error::other("content left").into()),
            }
        }
    }

    /// The header of the next request, when all of that has arrived already. Content of the current
    /// request must have been taken.
    pub fn next_whole(&self) -> Option<Header> {
        let received = self.buffer.get(self.filled.clone())?;
        let (header, rest) = received.split_first_chunk::<HEADER_LEN>()?;
        let header = Header::parse(*header).ok()?;
        (rest.len() as u64 >= header.body_len).then_some(header)
    }

    /// The current request's bytes before its content.
    pub fn head(&self) -> &[u8] {
        self.buffer.get(self.head.clone()).unwrap_or_default()
    }

    /// Content bytes of the current request not taken yet.
    pub fn content_left(&self) -> u64 {
        self.decoder.content_left()
    }

    /// Takes the next piece of content: as much as is there, at least one byte; empty when all
    /// content was taken. Invalidates [`Conn::head`].
    pub async fn content(&mut self) -> Result<&[u8], ConnError> {
        let left = self.content_left();
        if left > 0 && self.filled.is_empty() {
            self.make_room(usize::try_from(left).unwrap_or(usize::MAX));
            self.receive_content(1).await?;
        }
        Ok(self.take_content())
    }

    /// Takes the whole content, which must fit a buffer of [`BUFFER_LARGE_LEN`].
    pub async fn whole_content(&mut self) -> Result<&[u8], ConnError> {
        let left = usize::try_from(self.content_left()).unwrap_or(usize::MAX);
        if left > BUFFER_LARGE_LEN {
            return Err(io::Error::other("content larger than a buffer").into());
        }
        if self.filled.len() < left {
            self.make_room(left);
            self.receive_content(left).await?;
        }
        Ok(self.take_content())
    }

    /// Fills the buffer with content before it is taken: with `len` bytes, or all that is left.
    /// Fewer, larger pieces make fewer writes to disk.
    pub async fn fill_content(&mut self, len: usize) -> Result<&[u8], ConnError> {
        let left = usize::try_from(self.content_left()).unwrap_or(usize::MAX);
        let len = len.min(left).min(BUFFER_LARGE_LEN);
        if self.filled.len() < len {
            self.make_room(len);
            self.receive_content(len).await?;
        }
        Ok(self.take_content())
    }

    /// Drops the content that is left, when it is at most `max` bytes. `false` when it is more:
    /// then the connection must be closed.
    pub async fn skip_content(&mut self, max: u64) -> Result<bool, ConnError> {
        if self.content_left() > max {
            return Ok(false);
        }
        while self.content_left() > 0 {
            self.content().await?;
        }
        Ok(true)
    }

    /// Gives the buffer back when nothing is left in it. Invalidates [`Conn::head`].
    ///
    /// To be called before waiting for others: a buffer for each that waits would not fit the
    /// processor's cache.
    pub fn release_buffer(&mut self) {
        if self.filled.is_empty() {
            (self.filled, self.head) = (0..0, 0..0);
            self.buffers.give(std::mem::take(&mut self.buffer));
        }
    }

    /// The pool this connection's buffers come from.
    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Sends a reply: header and body in one system call.
    pub async fn reply(&mut self, status: Status, body: &[u8]) -> Result<(), ConnError> {
        self.send_packet(Header::reply(status, body.len() as u64), body).await
    }

    /// Sends replies without a body to requests that came together.
    pub async fn reply_together(&mut self, statuses: &[Status]) -> Result<(), ConnError> {
        self.release_buffer();
        let headers = statuses.iter().flat_map(|status| Header::reply(*status, 0).encode());
        self.send(&headers.collect::<Vec<u8>>()).await
    }

    /// Sends the beginning of a successful reply whose body has `total` bytes; the rest follows by
    /// [`Conn::send`].
    pub async fn reply_start(&mut self, total: u64, piece: &[u8]) -> Result<(), ConnError> {
        self.send_packet(Header::reply(Status::OK, total), piece).await
    }

    async fn send_packet(&mut self, header: Header, body: &[u8]) -> Result<(), ConnError> {
        self.release_buffer();
        after_others().await;
        let header = header.encode();
        let mut small = [0; 512];
        let len = HEADER_LEN + body.len();
        if let Some(packet) = small.get_mut(..len) {
            let (head, tail) = packet.split_at_mut(HEADER_LEN);
            head.copy_from_slice(&header);
            tail.copy_from_slice(body);
            return self.send(packet).await;
        }
        let slices = [io::IoSlice::new(&header), io::IoSlice::new(body)];
        let limit = self.limits.network_timeout;
        let sent = within(|| Instant::now() + limit, self.stream.write_vectored(&slices)).await;
        let sent = sent.ok_or(ConnError::Slow("the peer does not take the reply"))??;
        match sent.checked_sub(HEADER_LEN) {
            Some(sent) => self.send(body.get(sent..).unwrap_or_default()).await,
            None => {
                self.send(header.get(sent..).unwrap_or_default()).await?;
                self.send(body).await
            }
        }
    }

    /// Sends raw bytes: the parts of a reply that is longer than memory should hold.
    pub async fn send(&mut self, mut bytes: &[u8]) -> Result<(), ConnError> {
        while !bytes.is_empty() {
            let limit = self.limits.network_timeout;
            let sent = within(|| Instant::now() + limit, self.stream.write(bytes)).await;
            match sent.ok_or(ConnError::Slow("the peer does not take the reply"))?? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                sent => bytes = bytes.get(sent..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Waits without a buffer for the first byte of a request. Clients with pools stay silent for
    /// hours, so only the first request has a deadline (spec 01 §4).
    async fn wait_idle(&mut self) -> Result<bool, ConnError> {
        self.filled = 0..0;
        self.buffers.give(std::mem::take(&mut self.buffer));
        self.idle.store(true, Ordering::Relaxed);
        let ready = match self.served_any {
            true => Ok(self.stream.readable().await),
            false => timeout(self.limits.network_timeout, self.stream.readable()).await,
        };
        self.idle.store(false, Ordering::Relaxed);
        match ready {
            Ok(ready) => ready.map(|()| true).map_err(ConnError::from),
            Err(_) => Ok(false),
        }
    }

    /// Receives until `len` bytes are in the buffer. `false` when the peer closed before the first
    /// of them.
    async fn receive(
        &mut self,
        len: usize,
        mut deadline: impl FnMut() -> Instant,
        what: &'static str,
    ) -> Result<bool, ConnError> {
        self.make_room(len);
        while self.filled.len() < len {
            let free = self.buffer.get_mut(self.filled.end..).unwrap_or_default();
            let free_len = free.len();
            let received = within(&mut deadline, self.stream.read(free)).await;
            match received.ok_or(ConnError::Slow(what))?? {
                0 if self.filled.is_empty() => return Ok(false),
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                received => {
                    self.is_flooded = received == free_len;
                    self.filled.end += received;
                }
            }
        }
        Ok(true)
    }

    async fn receive_content(&mut self, len: usize) -> Result<(), ConnError> {
        let silence = Instant::now() + self.limits.network_timeout;
        let (since, taken) = *self.content_since.get_or_insert_with(|| (Instant::now(), 0));
        let allowed = self.limits.content_grace
            + Duration::from_secs((taken + len as u64) / self.limits.content_rate_min.max(1));
        if !self.receive(len, || silence.min(since + allowed), "content").await? {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    fn take_content(&mut self) -> &[u8] {
        let left = usize::try_from(self.content_left()).unwrap_or(usize::MAX);
        let start = self.filled.start;
        let len = self.filled.len().min(left);
        self.filled.start += len;
        self.decoder.content_taken(len as u64);
        if let Some((_, taken)) = &mut self.content_since {
            *taken += len as u64;
        }
        self.buffer.get(start..start + len).unwrap_or_default()
    }

    /// Makes the buffer able to hold `len` unused bytes, or as many as the largest buffer holds.
    fn make_room(&mut self, len: usize) {
        let longest = BUFFER_LARGE_LEN.max(HEADER_LEN + self.limits.message_len_max);
        // Requests that follow each other closely are received many at a time.
        let least = if self.is_flooded { BUFFER_SMALL_LEN + 1 } else { 1 };
        let len = len.clamp(least, longest);
        if self.buffer.len() < len {
            let larger = match len {
                ..=BUFFER_LARGE_LEN => self.buffers.take(len.max(BUFFER_SMALL_LEN)),
                _ => Buffer::new(len),
            };
            let old = std::mem::replace(&mut self.buffer, larger);
            copy_front(&mut self.buffer, old.get(self.filled.clone()).unwrap_or_default());
            self.buffers.give(old);
            self.filled = 0..self.filled.len();
        } else if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.buffer.len() - self.filled.start < len {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.buffers.give(std::mem::take(&mut self.buffer));
    }
}

/// Waits for `io` until the deadline. Most of the time it is ready, and then no clock is asked.
async fn within<T>(deadline: impl FnOnce() -> Instant, io: impl Future<Output = T>) -> Option<T> {
    let mut io = pin!(io);
    let at_once = poll_fn(|context| Poll::Ready(io.as_mut().poll(context))).await;
    match at_once {
        Poll::Ready(done) => Some(done),
        Poll::Pending => timeout_at(deadline(), io).await.ok(),
    }
}

fn copy_front(to: &mut [u8], from: &[u8]) {
    if let Some(front) = to.get_mut(..from.len()) {
        front.copy_from_slice(from);
    }
}
