//! Connections kept between calls, per server.

use super::conn::{Conn, ConnectOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::Command;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

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
pub struct ServerPoolStats {
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

#[derive(Debug)]
struct Server {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Conn>>,
    waiting: AtomicU64,
    created: AtomicU64,
    closed_by_error: AtomicU64,
}

/// A pool for any number of servers. Its servers are those of one cluster, so their number is
/// bounded by it.
#[derive(Debug)]
pub struct Pool {
    options: PoolOptions,
    servers: Mutex<HashMap<(String, u16), Arc<Server>>>,
    closed: AtomicBool,
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

impl Pool {
    /// An empty pool.
    pub fn new(options: PoolOptions) -> Arc<Self> {
        Arc::new(Self { options, servers: Mutex::default(), closed: AtomicBool::new(false) })
    }

    fn server(&self, host: &str, port: u16) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let server = servers.entry((host.to_owned(), port)).or_insert_with(|| {
            Arc::new(Server {
                permits: Arc::new(Semaphore::new(self.options.size.max(1))),
                idle: Mutex::default(),
                waiting: AtomicU64::new(0),
                created: AtomicU64::new(0),
                closed_by_error: AtomicU64::new(0),
            })
        });
        server.clone()
    }

    /// Lends a connection, kept or new. With `fresh` it is new in any case.
    pub async fn get(self: &Arc<Self>, host: &str, port: u16, fresh: bool) -> Result<Pooled> {
        let server = self.server(host, port);
        server.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = timeout(self.options.wait, server.permits.clone().acquire_owned()).await;
        server.waiting.fetch_sub(1, Ordering::Relaxed);
        let Ok(Ok(permit)) = waited else {
            let message = format!("pool wait of {:?} passed", self.options.wait);
            return Err(Error::new(ErrorKind::Timeout, message).with_peer(format!("{host}:{port}")));
        };
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the client is closed"));
        }
        let kept = if fresh { None } else { self.kept(&server).await };
        let conn = match kept {
            Some(conn) => conn,
            None => {
                let conn = Conn::connect(host, port, &self.options.connect).await?;
                server.created.fetch_add(1, Ordering::Relaxed);
                conn
            }
        };
        Ok(Pooled { conn: Some(conn), server, pool: self.clone(), _permit: permit })
    }

    /// The connection used last that is still good.
    async fn kept(&self, server: &Server) -> Option<Conn> {
        loop {
            let kept = server.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut conn = kept?;
            let idle = conn.used_at.elapsed();
            if idle > self.options.idle_max {
                continue;
            }
            conn.reused = true;
            if idle <= self.options.test_after
                || conn.call::<()>(Command::ACTIVE_TEST, &()).await.is_ok()
            {
                return Some(conn);
            }
        }
    }

    /// What the pool did, by server.
    pub fn stats(&self) -> Vec<ServerPoolStats> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stats: Vec<_> = servers
            .iter()
            .map(|((host, port), server)| {
                let idle = server.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
                let lent = self.options.size.max(1) - server.permits.available_permits();
                ServerPoolStats {
                    server: format!("{host}:{port}"),
                    open: idle + lent,
                    idle,
                    waiting: usize::try_from(server.waiting.load(Ordering::Relaxed)).unwrap_or(0),
                    created: server.created.load(Ordering::Relaxed),
                    closed_by_error: server.closed_by_error.load(Ordering::Relaxed),
                }
            })
            .collect();
        stats.sort_by(|a, b| a.server.cmp(&b.server));
        stats
    }

    /// Closes all kept connections, and lent ones when they come back.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        for server in servers.values() {
            server.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Whether [`Pool::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl std::ops::Deref for Pooled {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        // The connection is taken out only by `drop`.
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
        let Some(conn) = self.conn.take() else { return };
        if !conn.is_clean() {
            self.server.closed_by_error.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.pool.is_closed() {
            return;
        }
        let now = Instant::now();
        let idle_max = self.pool.options.idle_max;
        let mut idle = self.server.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // The oldest are in front; nobody else removes those that nobody borrows.
        idle.retain(|kept| now - kept.used_at <= idle_max);
        if idle.len() < self.pool.options.size.max(1) {
            idle.push(conn);
        }
    }
}
