//! Accepting connections, counting them, and ending them in order.

use super::buffers::Buffers;
use super::conn::{Conn, ConnLimits};
use fdfs_core::net::world::{TcpListener, TcpSocket, TcpStream};
use fdfs_core::protocol::Status;
use fdfs_core::protocol::frame::Header;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;
/// How long requests under way may go on after the server was told to end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause after a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Buffers not needed for this long are freed, after twice this time at most.
const TRIM_INTERVAL: Duration = Duration::from_secs(2);

type Allow = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// How to listen.
#[derive(Clone)]
pub struct ServerOptions {
    /// Addresses to listen on; port 0 takes a free one.
    pub addrs: Vec<SocketAddr>,
    /// Connections served at the same time.
    pub connections_max: usize,
    /// Bounds of each connection.
    pub limits: ConnLimits,
    /// Whether a peer may connect (`allow_hosts`).
    pub allow: Allow,
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions").field("addrs", &self.addrs).finish_non_exhaustive()
    }
}

/// Connection counters (spec 01 §7.5).
#[derive(Debug, Default)]
pub struct ConnCounts {
    current: AtomicUsize,
    max: AtomicUsize,
}

impl ConnCounts {
    /// Connections open now.
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Most connections ever open.
    pub fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }
}

/// A listening server; dropping it without [`Server::shutdown`] ends it at once.
#[derive(Debug)]
pub struct Server {
    addrs: Vec<SocketAddr>,
    counts: Arc<ConnCounts>,
    stop: watch::Sender<bool>,
    accepting: JoinSet<()>,
}

async fn trim_at_intervals(buffers: Buffers, mut stop: watch::Receiver<bool>) {
    while timeout(TRIM_INTERVAL, stop.changed()).await.is_err() {
        buffers.trim();
    }
}

impl Server {
    /// Binds and serves every connection with `handler`.
    pub fn start<H, F>(options: &ServerOptions, handler: H) -> io::Result<Self>
    where
        H: Fn(Conn) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let bound = bind_all(&options.addrs)?;
        Ok(Self::serve(bound, options, handler))
    }

    /// Serves sockets bound before with [`bind_all`]: for servers that must know their port before
    /// they can serve.
    pub fn serve<H, F>(bound: Vec<TcpListener>, options: &ServerOptions, handler: H) -> Self
    where
        H: Fn(Conn) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, _) = watch::channel(false);
        let counts = Arc::new(ConnCounts::default());
        let (mut accepting, mut addrs) = (JoinSet::new(), Vec::new());
        let buffers = Buffers::default();
        for listener in bound {
            addrs.extend(listener.local_addr());
            let acceptor = Acceptor {
                listener,
                options: options.clone(),
                counts: counts.clone(),
                buffers: buffers.clone(),
                draining: Arc::default(),
                open: HashMap::new(),
                admitted: 0,
                tasks: JoinSet::new(),
            };
            accepting.spawn(acceptor.run(stop.subscribe(), handler.clone()));
        }
        accepting.spawn(trim_at_intervals(buffers, stop.subscribe()));
        Self { addrs, counts, stop, accepting }
    }

    /// The addresses listened on, with the ports taken.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The connection counters.
    pub fn counts(&self) -> Arc<ConnCounts> {
        self.counts.clone()
    }

    /// Stops accepting, lets requests under way finish for a bounded time, and ends.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.accepting.join_next().await.is_some() {}
    }
}

/// Binds every address; with several and port 0, all get the port of the first.
pub fn bind_all(addrs: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut bound: Vec<TcpListener> = Vec::new();
    for addr in addrs {
        let mut addr = *addr;
        if let (0, Some(first)) = (addr.port(), bound.first()) {
            addr.set_port(first.local_addr()?.port());
        }
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        let listener = socket.bind(addr).and_then(|()| socket.listen(BACKLOG));
        bound.push(listener.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
        })?);
    }
    Ok(bound)
}

struct Open {
    /// Which one it was: those that came first are ended first.
    number: usize,
    task: AbortHandle,
    idle: Arc<AtomicBool>,
}

struct Acceptor {
    listener: TcpListener,
    options: ServerOptions,
    counts: Arc<ConnCounts>,
    buffers: Buffers,
    draining: Arc<AtomicBool>,
    open: HashMap<Id, Open>,
    admitted: usize,
    tasks: JoinSet<()>,
}

impl Acceptor {
    async fn run<H, F>(mut self, mut stop: watch::Receiver<bool>, handler: H)
    where
        H: Fn(Conn) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer.ip().to_canonical(), &handler),
                    Err(error) => {
                        tracing::warn!(%error, "accept failed");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                told = async { stop.wait_for(|stop| *stop).await.is_ok() } => {
                    // Not told means that the server was dropped: nothing to wait for.
                    if told {
                        self.drain().await;
                    }
                    return;
                }
            }
        }
    }

    fn admit<H, F>(&mut self, stream: TcpStream, peer: IpAddr, handler: &H)
    where
        H: Fn(Conn) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        if !(self.options.allow)(peer) {
            tracing::warn!(%peer, "connection refused by allow_hosts");
            return;
        }
        if self.counts.current() >= self.options.connections_max {
            tracing::warn!(%peer, max = self.options.connections_max, "max_connections reached");
            // Best effort: tells clients why, where the original just closes.
            let _ = stream.try_write(&Header::reply(Status::EBUSY, 0).encode());
            return;
        }
        let idle = Arc::new(AtomicBool::new(true));
        let (buffers, draining) = (self.buffers.clone(), self.draining.clone());
        let conn = Conn::new(stream, self.options.limits, buffers, idle.clone(), draining);
        // Fails when the peer is gone already.
        let Ok(conn) = conn else { return };
        let current = self.counts.current.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.max.fetch_max(current, Ordering::Relaxed);
        let task = self.tasks.spawn(handler(conn));
        self.admitted += 1;
        self.open.insert(task.id(), Open { number: self.admitted, task, idle });
    }

    fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a connection ended in a panic");
                }
                error.id()
            }
        };
        self.open.remove(&id);
        self.counts.current.fetch_sub(1, Ordering::Relaxed);
    }

    /// Idle connections end at once, busy ones after their request or when the time is up.
    async fn drain(mut self) {
        self.draining.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + DRAIN_TIME_MAX;
        while !self.tasks.is_empty() {
            let late = Instant::now() >= deadline;
            let mut open: Vec<&Open> = self.open.values().collect();
            open.sort_by_key(|open| open.number);
            for open in open {
                if late || open.idle.load(Ordering::Relaxed) {
                    open.task.abort();
                }
            }
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fdfs_core::protocol::Command;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers every request with its content.
    async fn echo(mut conn: Conn) {
        while let Ok(Some(_)) = conn.next_request().await {
            let mut body = conn.head().to_vec();
            loop {
                let piece = conn.content().await.unwrap();
                if piece.is_empty() {
                    break;
                }
                body.extend_from_slice(piece);
            }
            conn.reply(Status::OK, &body).await.unwrap();
        }
    }

    fn options(connections_max: usize) -> ServerOptions {
        let mut limits = ConnLimits::new(4096, Duration::from_secs(5));
        limits.head_timeout = Duration::from_millis(200);
        ServerOptions {
            addrs: vec!["127.0.0.1:0".parse().unwrap()],
            connections_max,
            limits,
            allow: Arc::new(|_| true),
        }
    }

    async fn call(stream: &mut TcpStream, command: Command, body: &[u8]) -> Vec<u8> {
        let header = Header::request(command, body.len() as u64).encode();
        stream.write_all(&[&header[..], body].concat()).await.unwrap();
        let mut header = [0; 10];
        stream.read_exact(&mut header).await.unwrap();
        let mut reply = vec![0; usize::try_from(Header::parse(header).unwrap().body_len).unwrap()];
        stream.read_exact(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn requests_of_all_sizes_are_answered_and_pipelined_ones_in_order() {
        let server = Server::start(&options(4), echo).unwrap();
        let mut stream = TcpStream::connect(server.addrs()[0]).await.unwrap();
        for len in [0, 1, 15, 4000, 16 * 1024, 100_000, 256 * 1024 + 1, 3_000_000] {
            let body: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let got = call(&mut stream, Command::UPLOAD_FILE, &body).await;
            assert!(got == body, "{len}");
        }
        let ping = Header::request(Command::ACTIVE_TEST, 0).encode();
        stream.write_all(&[ping, ping].concat()).await.unwrap();
        let mut replies = [0; 20];
        stream.read_exact(&mut replies).await.unwrap();
        server.shutdown().await;
    }

    #[tokio::test]
    async fn a_head_that_trickles_is_cut_off_and_a_full_server_says_busy() {
        let server = Server::start(&options(1), echo).unwrap();
        let mut slow = TcpStream::connect(server.addrs()[0]).await.unwrap();
        slow.write_all(&[0; 5]).await.unwrap();
        while server.counts().current() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        let mut refused = TcpStream::connect(server.addrs()[0]).await.unwrap();
        let mut header = Vec::new();
        refused.read_to_end(&mut header).await.unwrap();
        assert_eq!(header, Header::reply(Status::EBUSY, 0).encode());
        assert_eq!(slow.read(&mut [0; 8]).await.unwrap(), 0, "closed");
        server.shutdown().await;
    }

    #[tokio::test]
    async fn shutdown_ends_idle_connections_at_once_and_lets_busy_ones_finish() {
        let (entered, mut wait) = tokio::sync::mpsc::channel(1);
        let server = Server::start(&options(4), move |mut conn: Conn| {
            let entered = entered.clone();
            async move {
                while let Ok(Some(_)) = conn.next_request().await {
                    entered.send(()).await.unwrap();
                    sleep(Duration::from_millis(100)).await;
                    conn.reply(Status::OK, b"done").await.unwrap();
                }
            }
        })
        .unwrap();
        let mut idle = TcpStream::connect(server.addrs()[0]).await.unwrap();
        let mut busy = TcpStream::connect(server.addrs()[0]).await.unwrap();
        busy.write_all(&Header::request(Command::ACTIVE_TEST, 0).encode()).await.unwrap();
        wait.recv().await.unwrap();
        tokio::spawn(server.shutdown());
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
        let mut reply = Vec::new();
        busy.read_to_end(&mut reply).await.unwrap();
        assert_eq!(&reply[10..], b"done");
    }
}
