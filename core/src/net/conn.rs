//! One connection to a server and its exchanges.

mod ahead;

pub use ahead::{AHEAD_MAX, Ahead};

use super::connect::{ConnectOptions, connect, peer_name};
use super::limits::Limits;
use super::timer::Timer;
use super::world::Stream;
use crate::config::TrackerAddr;
use crate::error::{Error, ErrorKind, Result};
use crate::exchange::{Answer, Exchange};
use crate::protocol::Command;
use crate::protocol::frame::HEADER_LEN;
use crate::route::{Attempt, outcome_unknown};
use crate::wire::Wire;
use bytes::BytesMut;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

/// Bytes of content moved at a time.
pub const CHUNK_LEN: usize = 256 * 1024;
/// Largest reply that is held in memory; file content is streamed instead. The longest there is
/// lists 512 groups or 32 storages, or holds metadata.
const MESSAGE_LEN_MAX: u64 = 16 << 20;

/// A connection. It may carry another exchange only while [`Conn::is_clean`].
#[derive(Debug)]
pub struct Conn {
    stream: Stream,
    peer: String,
    io_timeout: Duration,
    limits: Limits,
    /// The exchange under way, or the last one.
    exchange: Option<Exchange>,
    /// When it was last known to be alive.
    pub(super) used_at: Instant,
    /// Whether it was kept from an earlier borrower.
    pub(super) reused: bool,
    /// Whether the server ended it.
    lost: bool,
    /// Runs while a read waits.
    silence: Option<Timer>,
}

/// What came of an attempt to send.
enum Sent {
    Bytes(usize),
    /// The server has begun to answer, or closed.
    Answered,
}

impl Conn {
    /// Connects to a tracker by the first of its addresses that answers.
    pub async fn connect_tracker(addr: &TrackerAddr, options: &ConnectOptions) -> Result<Self> {
        let mut failed = Error::new(ErrorKind::Config, "tracker without address");
        for host in &addr.hosts {
            match Self::connect(host, addr.port, options).await {
                Ok(conn) => return Ok(conn),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Connects to `host`, resolving it now, and trying all its addresses in turn.
    pub async fn connect(host: &str, port: u16, options: &ConnectOptions) -> Result<Self> {
        Self::connect_within(host, port, options, &Limits::NONE).await
    }

    /// The same within the bounds of a call, which then bound everything done on the connection.
    pub async fn connect_within(
        host: &str,
        port: u16,
        options: &ConnectOptions,
        limits: &Limits,
    ) -> Result<Self> {
        Ok(Self {
            stream: connect(host, port, options, limits).await?,
            peer: peer_name(host, port),
            io_timeout: options.io_timeout,
            limits: limits.clone(),
            exchange: None,
            used_at: Instant::now(),
            reused: false,
            lost: false,
            silence: None,
        })
    }

    /// Sets the bounds of the call that uses it from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Hands it on to another call, with these bounds.
    pub(super) fn lend(&mut self, limits: &Limits) {
        self.reused = true;
        self.limits = limits.clone();
    }

    /// From now on, closing it also drops what it has sent and the server's side has not taken.
    /// Else the kernel goes on sending that, and after a cut of the line a change could arrive
    /// later than those that were made since on another connection.
    pub fn drop_unsent_on_close(&self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// `host:port` of the server.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The server's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Whether the last exchange ended as the protocol demands, so that the next may begin.
    pub fn is_clean(&self) -> bool {
        let ended = self.exchange.as_ref().is_none_or(Exchange::is_clean);
        // What came behind the reply belongs to no exchange.
        ended && !self.lost && !self.stream.has_early()
    }

    /// Whether nothing has come in that nobody asked for, the end of the stream included: what a
    /// server sends between two exchanges would be taken for the next answer.
    pub(super) fn is_quiet(&self) -> bool {
        self.stream.is_quiet()
    }

    /// How far the exchange came.
    pub fn attempt(&self) -> Attempt {
        Attempt {
            reused: self.reused,
            lost: self.lost,
            body_left: self.exchange.as_ref().is_some_and(Exchange::body_left),
            replied: self.exchange.as_ref().is_some_and(Exchange::is_replied),
        }
    }

    /// Sends a request without content and reads its reply whole.
    pub async fn call<R: Wire>(&mut self, command: Command, request: &impl Wire) -> Result<R> {
        self.call_with_flags(command, 0, request).await
    }

    /// The same with flags in the header's status byte.
    pub async fn call_with_flags<R: Wire>(
        &mut self,
        command: Command,
        flags: u8,
        request: &impl Wire,
    ) -> Result<R> {
        let head = request.encode();
        self.start(command, flags, &head, 0).await?;
        self.read_reply().await
    }

    /// Begins an exchange: header, and the request up to its content.
    pub async fn start(
        &mut self,
        command: Command,
        flags: u8,
        head: &[u8],
        content_len: u64,
    ) -> Result<()> {
        self.start_with(command, flags, head, content_len, &[]).await.map(|_| ())
    }

    /// The same, and sends some of the content along: a small file goes out in one call of the
    /// system. Tells how much of `first` was sent.
    pub async fn start_with(
        &mut self,
        command: Command,
        flags: u8,
        head: &[u8],
        content_len: u64,
        first: &[u8],
    ) -> Result<usize> {
        self.check_clean()?;
        let (exchange, packet) = Exchange::begin(command, flags, head, content_len);
        self.exchange = Some(exchange);
        let mut sent = 0;
        while let Some(rest) = packet.get(sent..).filter(|rest| !rest.is_empty()) {
            sent += self.send_some([rest, first], false).await?;
        }
        Ok(sent - packet.len())
    }

    fn check_clean(&self) -> Result<()> {
        if self.is_clean() {
            return Ok(());
        }
        let text = "the previous exchange did not end; answers would be crossed";
        Err(Error::new(ErrorKind::Internal, text).with_peer(&self.peer))
    }

    /// Sends content of the request. `false` when the server has begun to answer: then sending on
    /// would be in vain, and could wait for ever.
    pub async fn send_content(&mut self, mut content: &[u8]) -> Result<bool> {
        while !content.is_empty() {
            match self.send_some([content, &[]], true).await? {
                0 => return Ok(false),
                sent => content = content.get(sent..).unwrap_or_default(),
            }
        }
        Ok(true)
    }

    /// Sends some bytes of the exchange; 0 when `listening` and the server has something to say.
    async fn send_some(&mut self, bytes: [&[u8]; 2], listening: bool) -> Result<usize> {
        let sent = self.write_some(bytes, listening).await?;
        self.exchange_mut().sent(sent);
        Ok(sent)
    }

    async fn write_some(&mut self, bytes: [&[u8]; 2], listening: bool) -> Result<usize> {
        let (stream, limits) = (&mut self.stream, self.limits.clone());
        let own = Some(("io_timeout", self.io_timeout));
        let bytes = bytes.map(IoSlice::new);
        let sending = poll_fn(|context| poll_send(stream, context, &bytes, listening));
        match limits.run("sending", own, sending).await {
            Ok(Ok(Sent::Bytes(0))) => Err(self.lost("sending", io::ErrorKind::WriteZero.into())),
            Ok(Ok(Sent::Bytes(sent))) => Ok(sent),
            Ok(Ok(Sent::Answered)) => Ok(0),
            Ok(Err(error)) => Err(self.lost("sending", error)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reads the reply's header and gives the length of the body; a refusal is an error.
    pub async fn read_header(&mut self) -> Result<u64> {
        loop {
            let mut header = [0; HEADER_LEN];
            let missing = self.exchange_mut().header_missing();
            let piece = header.get_mut(..missing).unwrap_or_default();
            let read = self.read_some(piece).await?;
            match self.exchange_mut().header_bytes(piece.get(..read).unwrap_or_default()) {
                Ok(None) => {}
                Ok(Some(Answer::Body(len))) => {
                    self.used_at = Instant::now();
                    return Ok(len);
                }
                Ok(Some(answer @ Answer::Refused(status))) => {
                    self.used_at = Instant::now();
                    let kind = answer.error_kind().unwrap_or(ErrorKind::Server);
                    let error = Error::new(kind, "the server refused the request");
                    return Err(self.failed(error.with_status(status)));
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// Reads a whole reply.
    pub async fn read_reply<R: Wire>(&mut self) -> Result<R> {
        let body = self.read_message().await?;
        R::decode(&body).map_err(|error| self.broken(error))
    }

    /// Reads a reply that fits memory.
    async fn read_message(&mut self) -> Result<BytesMut> {
        let len = self.read_header().await?;
        if len > MESSAGE_LEN_MAX {
            return Err(self.broken(format!("a reply of {len} bytes")));
        }
        // Grows with what arrives, so that a lying length costs nothing.
        let mut body = BytesMut::new();
        while self.body_missing() > 0 {
            let start = body.len();
            let more = usize::try_from(self.body_missing()).unwrap_or(CHUNK_LEN).min(CHUNK_LEN);
            body.resize(start + more, 0);
            let read = self.read_body(body.get_mut(start..).unwrap_or_default()).await?;
            body.truncate(start + read);
        }
        Ok(body)
    }

    /// Bytes of the reply's body not read yet.
    pub fn body_missing(&self) -> u64 {
        self.exchange.as_ref().map_or(0, Exchange::body_missing)
    }

    /// The rest of the reply's body, if all of it has been received with what came before and can be
    /// looked at where it lies.
    pub fn received_body(&self) -> Option<&[u8]> {
        self.stream.early().get(..usize::try_from(self.body_missing()).ok()?)
    }

    /// Ends the reply whose body was looked at.
    pub fn skip_received_body(&mut self) {
        if let Some(len) = self.received_body().map(<[u8]>::len) {
            self.stream.skip_early(len);
            self.exchange_mut().body_bytes(len);
            self.used_at = Instant::now();
        }
    }

    /// Reads some bytes of the reply's body; 0 at its end.
    pub async fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let limits = self.limits.clone();
        let mut buffer = ReadBuf::new(buffer);
        let reading = poll_fn(|context| self.poll_read_body(context, &mut buffer));
        match limits.run("reading", None, reading).await {
            Ok(done) => done?,
            Err(error) => return Err(self.failed(error)),
        }
        Ok(buffer.filled().len())
    }

    /// The same for those who poll; the bounds of the call do not count here.
    pub fn poll_read_body(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let missing = usize::try_from(self.body_missing()).unwrap_or(usize::MAX);
        let room = missing.min(buffer.remaining());
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        // No more than the body: what stands behind it belongs to nobody yet.
        let mut limited = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(self.poll_read(context, &mut limited))?;
        let read = limited.filled().len();
        buffer.advance(read);
        self.exchange_mut().body_bytes(read);
        if self.body_missing() == 0 {
            self.used_at = Instant::now();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what has come, without looking further.
    async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let limits = self.limits.clone();
        let mut buffer = ReadBuf::new(buffer);
        let reading = poll_fn(|context| self.poll_read(context, &mut buffer));
        match limits.run("waiting for the reply", None, reading).await {
            Ok(done) => done?,
            Err(error) => return Err(self.failed(error)),
        }
        Ok(buffer.filled().len())
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(read) = read {
            self.silence = None;
            return Poll::Ready(match read {
                Ok(()) if buffer.filled().len() == before => {
                    Err(self.lost("reading", io::ErrorKind::UnexpectedEof.into()))
                }
                Ok(()) => Ok(()),
                Err(error) => Err(self.lost("reading", error)),
            });
        }
        let limit = self.io_timeout;
        let silence = self.silence.get_or_insert_with(|| Timer::new(limit));
        ready!(silence.poll(context));
        self.silence = None;
        let text = format!("io_timeout of {limit:?} passed while reading");
        Poll::Ready(Err(self.failed(Error::new(ErrorKind::Timeout, text))))
    }

    fn exchange_mut(&mut self) -> &mut Exchange {
        // Sending and reading belong to the exchange that `start` began.
        self.exchange.as_mut().unwrap_or_else(|| unreachable!("an exchange was begun"))
    }

    /// Completes an error that ended the exchange, wherever it came from.
    pub fn failed(&self, error: Error) -> Error {
        let mut error = error.with_peer(&self.peer);
        if let Some(exchange) = &self.exchange {
            error = error.with_command(exchange.command());
            let (command, kind) = (exchange.command(), error.kind());
            if error.status().is_none() && outcome_unknown(command, self.attempt(), kind) {
                error = error.with_outcome_unknown();
            }
        }
        error
    }

    /// A connection that ends inside an exchange is a broken exchange.
    fn lost(&mut self, what: &str, error: io::Error) -> Error {
        self.lost = true;
        let lost = Error::new(ErrorKind::Protocol, format!("connection lost while {what}"));
        self.failed(lost.with_source(error))
    }

    fn broken(&mut self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.exchange_mut().broken();
        let broken = Error::new(ErrorKind::Protocol, "the reply breaks the protocol");
        self.failed(broken.with_source(error))
    }
}

fn poll_send(
    stream: &mut Stream,
    context: &mut Context<'_>,
    bytes: &[IoSlice<'_>; 2],
    listening: bool,
) -> Poll<io::Result<Sent>> {
    if listening {
        let mut byte = [0];
        if stream.poll_peek(context, &mut ReadBuf::new(&mut byte)).is_ready() {
            return Poll::Ready(Ok(Sent::Answered));
        }
    }
    let [first, second] = bytes;
    let stream = Pin::new(stream);
    let sent = match second.is_empty() {
        true => stream.poll_write(context, first),
        false => stream.poll_write_vectored(context, bytes),
    };
    sent.map_ok(Sent::Bytes)
}
