//! One connection to a server and its exchanges.

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame::{HEADER_LEN, Header};
use crate::protocol::{Command, Status};
use crate::wire::Wire;
use bytes::BytesMut;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Bytes of content moved at a time.
pub const CHUNK_LEN: usize = 256 * 1024;
/// Largest reply that is held in memory; file content is streamed instead. The longest there is
/// lists 512 groups or 32 storages, or holds metadata.
const MESSAGE_LEN_MAX: u64 = 16 << 20;

/// How to connect.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// Time until the connection must stand.
    pub connect_timeout: Duration,
    /// Time without a byte until a call fails.
    pub io_timeout: Duration,
    /// Local address to connect from.
    pub bind: Option<IpAddr>,
}

/// A connection. It may carry another exchange only while [`Conn::is_clean`].
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    peer: String,
    io_timeout: Duration,
    clean: bool,
    /// When it was last known to be alive.
    pub(super) used_at: Instant,
    /// Whether it carried an exchange before this borrower.
    pub(super) reused: bool,
    /// Whether bytes of the current reply have arrived.
    replied: bool,
}

impl Conn {
    /// Connects to `host`, resolving it now, and trying all its addresses in turn.
    pub async fn connect(host: &str, port: u16, options: &ConnectOptions) -> Result<Self> {
        let peer = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let connecting = connect_any(host, port, options.bind);
        let stream = match timeout(options.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let message = "cannot connect";
                return Err(Error::new(ErrorKind::Connect, message)
                    .with_peer(peer)
                    .with_source(error));
            }
            Err(_) => {
                let message = format!("connect_timeout of {:?} passed", options.connect_timeout);
                return Err(Error::new(ErrorKind::Timeout, message).with_peer(peer));
            }
        };
        Ok(Self {
            stream,
            peer,
            io_timeout: options.io_timeout,
            clean: true,
            used_at: Instant::now(),
            reused: false,
            replied: false,
        })
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
        self.clean
    }

    /// Whether a failed call may be repeated on a fresh connection: this one was kept from an
    /// earlier call and died before a byte of the reply came.
    pub fn died_unheard(&self) -> bool {
        self.reused && !self.replied
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
        let body = self.read_message(command).await?;
        R::decode(&body).map_err(|error| self.protocol_error(command, error))
    }

    /// Begins an exchange: header, and the request up to its content.
    pub async fn start(
        &mut self,
        command: Command,
        flags: u8,
        head: &[u8],
        content_len: u64,
    ) -> Result<()> {
        debug_assert!(self.clean, "the previous exchange did not end");
        self.clean = false;
        self.replied = false;
        let body_len = head.len() as u64 + content_len;
        let header = Header { body_len, command, status: Status(flags) };
        let mut packet = BytesMut::with_capacity(HEADER_LEN + head.len());
        packet.extend_from_slice(&header.encode());
        packet.extend_from_slice(head);
        self.send(command, &packet).await
    }

    /// Sends bytes of the request.
    pub async fn send(&mut self, command: Command, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let sent = self.bounded(command, "sending", |stream| stream.write(bytes)).await?;
            if sent == 0 {
                let error = io::Error::from(io::ErrorKind::WriteZero);
                return Err(self.io_error(command, "sending", error));
            }
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends bytes of the request unless the server has begun to answer: then sending on would be
    /// in vain. `false` when it has.
    pub async fn send_unless_answered(&mut self, command: Command, bytes: &[u8]) -> Result<bool> {
        let answered = {
            let mut byte = [0; 1];
            poll_once(std::pin::pin!(self.stream.peek(&mut byte))).is_some()
        };
        if answered {
            return Ok(false);
        }
        self.send(command, bytes).await?;
        Ok(true)
    }

    /// Reads the reply's header; an error status is an error.
    pub async fn read_header(&mut self, command: Command) -> Result<u64> {
        let mut header = [0; HEADER_LEN];
        self.read_exact(command, &mut header).await?;
        let header = Header::parse(header).map_err(|error| self.protocol_error(command, error))?;
        if header.command != Command::RESPONSE {
            let error = format!("expected a reply, got {}", header.command);
            return Err(self.protocol_error(command, error));
        }
        if !header.status.is_ok() {
            // Servers close after most errors, and some send bytes behind them; "not found" is
            // the one that is part of everyday life.
            self.clean = header.status == Status::ENOENT && header.body_len == 0;
            self.used_at = Instant::now();
            let kind = ErrorKind::of_status(header.status);
            let error = Error::new(kind, "the server refused the request");
            let error = error.with_peer(&self.peer).with_command(command);
            return Err(error.with_status(header.status));
        }
        if header.body_len == 0 {
            self.finish();
        }
        Ok(header.body_len)
    }

    /// Reads a reply that fits memory.
    pub async fn read_message(&mut self, command: Command) -> Result<BytesMut> {
        let len = self.read_header(command).await?;
        let Some(len) = Some(len).filter(|len| *len <= MESSAGE_LEN_MAX) else {
            return Err(self.protocol_error(command, format!("a reply of {len} bytes")));
        };
        // Grows with what arrives, so that a lying length costs nothing.
        let mut body = BytesMut::new();
        while (body.len() as u64) < len {
            let left = usize::try_from(len - body.len() as u64).unwrap_or(CHUNK_LEN);
            let start = body.len();
            body.resize(start + left.min(CHUNK_LEN), 0);
            let piece = body.get_mut(start..).unwrap_or_default();
            self.read_exact(command, piece).await?;
        }
        self.finish();
        Ok(body)
    }

    /// Reads some bytes of the reply's body.
    pub async fn read_some(&mut self, command: Command, buffer: &mut [u8]) -> Result<usize> {
        let read = self.bounded(command, "reading", |stream| stream.read(buffer)).await?;
        if read == 0 {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(self.io_error(command, "reading", error));
        }
        self.replied = true;
        Ok(read)
    }

    async fn read_exact(&mut self, command: Command, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += self.read_some(command, rest).await?;
        }
        Ok(())
    }

    /// Notes that the exchange ended as it should.
    pub fn finish(&mut self) {
        self.clean = true;
        self.used_at = Instant::now();
    }

    async fn bounded<'s, T, F>(
        &'s mut self,
        command: Command,
        what: &'static str,
        call: impl FnOnce(&'s mut TcpStream) -> F,
    ) -> Result<T>
    where
        F: Future<Output = io::Result<T>> + 's,
        T: 's,
    {
        let (peer, limit) = (&self.peer, self.io_timeout);
        match timeout(limit, call(&mut self.stream)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(io_error(peer, command, what, error)),
            Err(_) => {
                let message = format!("io_timeout of {limit:?} passed while {what}");
                Err(Error::new(ErrorKind::Timeout, message).with_peer(peer).with_command(command))
            }
        }
    }

    fn io_error(&self, command: Command, what: &str, error: io::Error) -> Error {
        io_error(&self.peer, command, what, error)
    }

    fn protocol_error(
        &mut self,
        command: Command,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.clean = false;
        let message = "the reply breaks the protocol";
        let unread = Error::new(ErrorKind::Protocol, message);
        unread.with_peer(&self.peer).with_command(command).with_source(error)
    }
}

/// A connection that ends inside an exchange is a broken exchange; nothing was said about it.
fn io_error(peer: &str, command: Command, what: &str, error: io::Error) -> Error {
    let failed = Error::new(ErrorKind::Protocol, format!("connection lost while {what}"));
    failed.with_peer(peer).with_command(command).with_source(error)
}

/// Polls a future once, without waiting.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}

async fn connect_any(host: &str, port: u16, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in lookup_host((host, port)).await? {
        match connect_one(addr, bind).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect_one(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = bind.filter(|ip| ip.is_ipv4() == addr.is_ipv4()) {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
