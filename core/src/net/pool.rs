//! Connections kept between calls, per server.

use super::conn::Conn;
use super::connect::{ConnectOptions, peer_name};
use super::limits::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Servers that are remembered; beyond that, those without connections are forgotten.
const SERVERS_MAX: usize = 1024;

/// How connections are kept.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// How to connect.
    pub connect: ConnectOptions,
    /// Connections to one server at the same time, lent and kept.
    pub size: usize,
    /// How long a call waits for one.
    pub wait: Duration,
    /// How long one is kept unused; shorter than any server keeps it.
    pub idle_max: Duration,
    /// Unused for longer than this, a connection is tested before it is lent.
    pub test_after: Duration,
}

/// What the pool did for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStats {
    /// `host:port`.
    pub server: String,
    /// Connections lent and kept.
    pub open: usize,
    /// Connections kept.
    pub idle: usize,
    /// Calls waiting for one.
    pub waiting: usize,
    /// Connections ever made.
    pub created: u64,
    /// Connections closed because a call did not end cleanly.
    pub closed_by_error: u64,
}

/// Why no connection was lent.
#[derive(Debug)]
pub enum Refusal {
    /// All connections stay lent, the pool is closed, or the call had to end: another server would
    /// not change that.
    Pool(Error),
    /// The server cannot be reached.
    Connect(Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Pool(error) | Refusal::Connect(error) => error,
        }
    }
}

#[derive(Debug)]
struct Server {
    host: String,
    port: u16,
    permits: Arc<Semaphore>,
    /// The one used last is at the end.
    idle: Mutex<Vec<Conn>>,
    waiting: AtomicUsize,
    created: AtomicU64,
    closed_by_error: AtomicU64,
    /// The process that made the connections.
    process: u32,
}

impl Server {
    /// Closes a connection, or in a forked child leaves it alone: it is registered for readiness
    /// with the parent's own means, and closing it there would make the parent deaf to it.
    fn close(&self, conns: impl IntoIterator<Item = Conn>) {
        let is_ours = self.process == super::process();
        for conn in conns {
            if is_ours { drop(conn) } else { std::mem::forget(conn) }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Conn>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last.
    fn pop(&self) -> Option<Conn> {
        self.idle().pop()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let kept = std::mem::take(&mut *self.idle());
        self.close(kept);
    }
}

/// A pool for any number of servers.
#[derive(Debug)]
pub struct Pool {
    options: PoolOptions,
    /// In order of host and port.
    servers: Mutex<Vec<Arc<Server>>>,
    closed: AtomicBool,
    /// Whether somebody closes connections that nobody uses.
    swept: AtomicBool,
}

/// A lent connection. It goes back to the pool when its last exchange ended cleanly, and is closed
/// otherwise: reusing it would hand one caller another caller's answer.
#[derive(Debug)]
pub struct Pooled {
    conn: Option<Conn>,
    server: Arc<Server>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

/// Counts a waiting call, also one that stops waiting halfway.
struct Waiting<'s>(&'s AtomicUsize);

impl<'s> Waiting<'s> {
    fn new(count: &'s AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(options: PoolOptions) -> Arc<Self> {
        let options = PoolOptions { size: options.size.max(1), ..options };
        Arc::new(Self {
            options,
            servers: Mutex::default(),
            closed: AtomicBool::new(false),
            swept: AtomicBool::new(false),
        })
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self, host: &str, port: u16) -> Result<Arc<Server>> {
        let mut servers = self.servers();
        // Asked under the lock under which `close` closes all servers: none is added after it.
        if self.is_closed() {
            return Err(closed());
        }
        if servers.len() >= SERVERS_MAX {
            servers.retain(|server| Arc::strong_count(server) > 1 || !server.idle().is_empty());
        }
        let place = |server: &Arc<Server>| (server.host.as_str(), server.port).cmp(&(host, port));
        match servers.binary_search_by(place) {
            Ok(at) => servers.get(at).cloned().ok_or_else(closed),
            Err(at) => {
                let server = Arc::new(Server {
                    host: host.to_owned(),
                    port,
                    permits: Arc::new(Semaphore::new(self.options.size)),
                    idle: Mutex::default(),
                    waiting: AtomicUsize::new(0),
                    created: AtomicU64::new(0),
                    closed_by_error: AtomicU64::new(0),
                    process: super::process(),
                });
                servers.insert(at, server.clone());
                Ok(server)
            }
        }
    }

    /// Lends a connection, kept or new, for a call with these limits.
    ///
    /// What takes time and happens rarely is boxed: every call would have to carry the memory for
    /// it otherwise.
    pub async fn get(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        limits: &Limits,
    ) -> Result<Pooled, Refusal> {
        let server = self.server(host, port).map_err(Refusal::Pool)?;
        let permit = match server.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => Box::pin(self.wait(&server, limits)).await.map_err(Refusal::Pool)?,
        };
        self.keep_swept();
        let conn = match self.fresh(&server, limits) {
            Some(conn) => conn,
            None => Box::pin(self.tested_or_new(&server, limits)).await?,
        };
        Ok(Pooled { conn: Some(conn), server, pool: self.clone(), _permit: permit })
    }

    /// Waits until another call gives a connection back.
    async fn wait(&self, server: &Server, limits: &Limits) -> Result<OwnedSemaphorePermit> {
        let _waiting = Waiting::new(&server.waiting);
        tracing::debug!(server.address = server.host, "all connections are in use, waiting");
        let own = Some(("pool wait", self.options.wait));
        let acquiring = server.permits.clone().acquire_owned();
        let acquired = limits.run("all connections are in use", own, acquiring).await;
        let named = |error: Error| error.with_peer(peer_name(&server.host, server.port));
        acquired.map_err(named)?.map_err(|_| closed())
    }

    /// The connection used last, when that was so lately that it needs no test.
    fn fresh(&self, server: &Server, limits: &Limits) -> Option<Conn> {
        let mut idle = server.idle();
        let age_max = self.options.test_after.min(self.options.idle_max);
        let is_fresh = |conn: &mut Conn| conn.used_at.elapsed() <= age_max;
        let mut conn = idle.pop_if(is_fresh)?;
        drop(idle);
        conn.is_quiet().then(|| {
            conn.lend(limits);
            conn
        })
    }

    async fn tested_or_new(&self, server: &Server, limits: &Limits) -> Result<Conn, Refusal> {
        match self.kept(server, limits).await.map_err(Refusal::Pool)? {
            Some(conn) => Ok(conn),
            None => self.connect(server, limits).await,
        }
    }

    async fn connect(&self, server: &Server, limits: &Limits) -> Result<Conn, Refusal> {
        let options = &self.options.connect;
        match Conn::connect_within(&server.host, server.port, options, limits).await {
            Ok(conn) => {
                tracing::debug!(server.address = conn.peer(), "connected");
                server.created.fetch_add(1, Ordering::Relaxed);
                Ok(conn)
            }
            Err(error) if limits.is_over() => Err(Refusal::Pool(error)),
            Err(error) => Err(Refusal::Connect(error)),
        }
    }

    /// The connection used last that is still good.
    async fn kept(&self, server: &Server, limits: &Limits) -> Result<Option<Conn>> {
        while let Some(mut conn) = server.pop() {
            let idle = conn.used_at.elapsed();
            if idle > self.options.idle_max || !conn.is_quiet() {
                continue;
            }
            conn.lend(limits);
            if idle <= self.options.test_after {
                return Ok(Some(conn));
            }
            match conn.call::<()>(Command::ACTIVE_TEST, &()).await {
                Ok(()) => return Ok(Some(conn)),
                Err(error) if limits.is_over() => return Err(error),
                Err(error) => tracing::debug!(%error, "a kept connection is dead"),
            }
        }
        Ok(None)
    }

    /// What the pool did, by server.
    pub fn stats(&self) -> Vec<PoolStats> {
        let mut stats: Vec<_> = self
            .servers()
            .iter()
            .map(|server| {
                let idle = server.idle().len();
                let lent = self.options.size - server.permits.available_permits();
                PoolStats {
                    server: peer_name(&server.host, server.port),
                    open: idle + lent,
                    idle,
                    waiting: server.waiting.load(Ordering::Relaxed),
                    created: server.created.load(Ordering::Relaxed),
                    closed_by_error: server.closed_by_error.load(Ordering::Relaxed),
                }
            })
            .collect();
        stats.sort_by(|a, b| a.server.cmp(&b.server));
        stats
    }

    /// Closes all kept connections now, and lent ones when they come back; calls that wait for one
    /// end.
    pub fn close(&self) {
        let servers = self.servers();
        self.closed.store(true, Ordering::SeqCst);
        for server in servers.iter() {
            server.permits.close();
            let kept = std::mem::take(&mut *server.idle());
            server.close(kept);
        }
    }

    /// Whether [`Pool::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Sees to it that connections which nobody uses are closed in time, as long as there are any.
    fn keep_swept(self: &Arc<Self>) {
        if !self.swept.load(Ordering::Relaxed) && !self.swept.swap(true, Ordering::SeqCst) {
            let sweeping = Sweeping(Arc::downgrade(self));
            tokio::spawn(sweeping.until_empty(self.options.idle_max));
        }
    }

    /// Closes what has been idle for too long; whether anything is left to look after.
    fn sweep(&self) -> bool {
        let idle_max = self.options.idle_max;
        let servers = self.servers().clone();
        let mut left = false;
        for server in servers {
            let mut idle = server.idle();
            idle.retain(|kept| kept.used_at.elapsed() <= idle_max);
            left |= !idle.is_empty() || server.permits.available_permits() < self.options.size;
        }
        left && !self.is_closed()
    }
}

/// The task that closes unused connections. It does not keep the pool alive, and when its runtime
/// ends before the pool, the next call starts another.
struct Sweeping(Weak<Pool>);

impl Sweeping {
    async fn until_empty(self, idle_max: Duration) {
        loop {
            tokio::time::sleep(idle_max / 2).await;
            if !self.0.upgrade().is_some_and(|pool| pool.sweep()) {
                break;
            }
        }
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.swept.store(false, Ordering::SeqCst);
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client is closed")
}

impl Pooled {
    /// Replaces a connection that proved to be dead by a new one to the same server.
    pub async fn renew(&mut self, limits: &Limits) -> Result<()> {
        self.server.closed_by_error.fetch_add(1, Ordering::Relaxed);
        self.conn = None;
        let conn = Box::pin(self.pool.connect(&self.server, limits)).await?;
        self.conn = Some(conn);
        Ok(())
    }
}

impl std::ops::Deref for Pooled {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        // It is missing only after `renew` failed, and nobody uses what could not be renewed.
        self.conn.as_ref().unwrap_or_else(|| unreachable!("a lent connection is there"))
    }
}

impl std::ops::DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn.as_mut().unwrap_or_else(|| unreachable!("a lent connection is there"))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        if !conn.is_clean() {
            self.server.closed_by_error.fetch_add(1, Ordering::Relaxed);
            self.server.close([conn]);
            return;
        }
        // The next borrower has limits of its own.
        conn.set_limits(Limits::NONE);
        let mut idle = self.server.idle();
        // Under the lock: `close` clears what is put back before it.
        if !self.pool.is_closed() {
            // Never more than `size`: one is made only while none is idle, and under a permit.
            idle.push(conn);
        }
    }
}
