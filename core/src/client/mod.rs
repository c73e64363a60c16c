//! The client: every operation of FastDFS, asynchronous, pooled and safe to share.
//!
//! ```no_run
//! use fdfs_core::client::{ClientOptions, Range, UploadOptions};
//!
//! # async fn example() -> fdfs_core::Result<()> {
//! let client = ClientOptions::new(["10.0.0.1:22122"])?.connect();
//! let id = client.upload(b"hello", UploadOptions::ext("txt")).await?;
//! assert_eq!(client.download(&id, Range::default()).await?, b"hello");
//! client.delete(&id, false).await?;
//! # Ok(()) }
//! ```
//!
//! [`blocking`] offers the same without `async`; [`runtime`] runs calls for those who have no
//! runtime of their own.
#![allow(clippy::disallowed_methods, reason = "the client reads the clock and local files")]

mod address;
mod admin;
pub mod blocking;
mod call;
mod caught;
mod content;
mod download;
mod feed;
mod metadata;
mod options;
mod queue;
mod reader;
pub mod runtime;
mod types;
mod upload;
mod url;
mod writer;

pub use address::{AddressMap, ServerAddress};
pub use admin::Admin;
pub use caught::{Caught, CaughtCall, caught};
pub use download::Held;
pub use feed::{Feed, Feeder, feed};
pub use options::{CallOptions, ClientOptions, Metadata, Progress, Range, UploadOptions};
pub use queue::{Ended, Queue};
pub use reader::Reader;
pub use types::{FileInfo, GroupInfo, StorageInfo, StorageStats, TrackerInfo, UploadTarget};
pub use url::make_token;
pub use writer::Writer;

pub use crate::net::{Cancel, PoolStats};
pub use crate::protocol::StorageStatus;

use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::{ConnectOptions, Limits, Pool, PoolOptions, Pooled, Refusal, world};
use crate::protocol::storage::{FileRef, INFO_SILENT, INFO_WITHOUT_CRC};
use crate::protocol::{self, Command, Group};
use crate::route::Rotation;
use call::{Call, Query, group_of};
use runtime::Process;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Connections unused for longer than this are tested before use.
const TEST_AFTER: Duration = Duration::from_secs(5);

/// A client of one cluster. Clones share its connections; all methods may run at the same time.
///
/// Dropping the future of a call cancels it and closes its connection.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
    call: CallOptions,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    process: Process,
    pool: Arc<Pool>,
    rotation: Mutex<Rotation>,
    /// Of storages with two addresses, the one that worked last, by the one the tracker names.
    worked_last: Mutex<HashMap<ServerAddress, ServerAddress>>,
    /// Other addresses of storages as a tracker tells them.
    learnt_addresses: OnceCell<HashMap<String, String>>,
    epoch: Instant,
    /// For choosing pauses; any sequence will do.
    chance: AtomicU64,
}

impl Inner {
    fn chance(&self) -> u64 {
        let chance = self.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        (chance ^ (chance >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
    }

    /// Lends a connection to a server, at its other address when the first cannot be reached.
    async fn lend(&self, named: &ServerAddress, limits: &Limits) -> Result<Pooled, Refusal> {
        let learnt = || self.learnt_addresses.get().and_then(|others| others.get(&named.host));
        let Some(other) = self.options.other_addresses.get(&named.host).or_else(learnt) else {
            return self.pool.get(&named.host, named.port, limits).await;
        };
        let other = ServerAddress { host: other.clone(), port: named.port };
        let mut order = [named, &other];
        let remembers = self.options.last_address_first;
        let last = || self.worked_last.lock().unwrap_or_else(PoisonError::into_inner);
        if remembers && last().get(named) == Some(&other) {
            order.reverse();
        }
        let [first, second] = order;
        let mut lent = self.pool.get(&first.host, first.port, limits).await;
        let mut worked = first;
        if let Err(Refusal::Connect(error)) = &lent {
            tracing::debug!(%error, "trying the storage's other address");
            lent = self.pool.get(&second.host, second.port, limits).await;
            worked = second;
        }
        if remembers && lent.is_ok() {
            last().insert(named.clone(), worked.clone());
        }
        lent
    }
}

impl Client {
    /// A client with these options; connects when it is used.
    pub fn new(options: ClientOptions) -> Self {
        let connect = ConnectOptions {
            connect_timeout: options.connect_timeout,
            io_timeout: options.io_timeout,
            bind: None,
        };
        let pool = Pool::new(PoolOptions {
            connect,
            size: options.pool_size,
            wait: options.pool_wait,
            idle_max: options.pool_idle,
            test_after: TEST_AFTER,
        });
        let seed = world::chance();
        let first = usize::try_from(seed).unwrap_or(0);
        let inner = Inner {
            rotation: Mutex::new(Rotation::new(options.trackers.len(), first)),
            worked_last: Mutex::default(),
            learnt_addresses: OnceCell::new(),
            options,
            process: Process::current(),
            pool,
            epoch: Instant::now(),
            chance: AtomicU64::new(seed),
        };
        Self { inner: Arc::new(inner), call: CallOptions::default() }
    }

    /// A client for the cluster of a `client.conf`.
    ///
    /// ```no_run
    /// # use fdfs_core::client::Client;
    /// let client = Client::from_conf("/etc/fdfs/client.conf")?;
    /// # Ok::<(), fdfs_core::Error>(())
    /// ```
    pub fn from_conf(path: impl AsRef<Path>) -> Result<Self> {
        Ok(ClientOptions::from_conf(path)?.connect())
    }

    /// The options it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The same client, whose calls have these options.
    ///
    /// ```no_run
    /// # use fdfs_core::client::{CallOptions, Client};
    /// # use std::time::Duration;
    /// # async fn example(client: Client) -> fdfs_core::Result<()> {
    /// client.with(CallOptions::timeout(Duration::from_secs(2))).ping().await
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, call: CallOptions) -> Self {
        Self { inner: self.inner.clone(), call }
    }

    /// What its calls are told.
    pub fn call_options(&self) -> &CallOptions {
        &self.call
    }

    /// The bounds of a call that begins now.
    fn limits(&self) -> Limits {
        let timeout = self.call.timeout.or(self.inner.options.timeout);
        Limits::new(timeout, self.call.cancel.clone())
    }

    /// Begins a call: from now on its time runs.
    fn begin(&self, operation: &'static str) -> Result<Call<'_>> {
        self.inner.process.check()?;
        if self.inner.pool.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "the client is closed"));
        }
        Ok(Call {
            client: &self.inner,
            limits: self.limits(),
            progress: self.call.progress.clone(),
            span: tracing::debug_span!(
                "fdfs",
                otel.name = operation,
                server.address = tracing::field::Empty,
                fdfs.bytes = tracing::field::Empty,
            ),
        })
    }

    /// Whether the file is there.
    ///
    /// ```no_run
    /// # async fn example(client: fdfs_core::client::Client) -> fdfs_core::Result<()> {
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// println!("{}", client.exists(&id).await?);
    /// # Ok(()) }
    /// ```
    pub async fn exists(&self, id: &FileId) -> Result<bool> {
        self.begin("fdfs.exists")?.exists(id).await
    }

    /// What its storage knows of the file.
    ///
    /// ```no_run
    /// # async fn example(client: fdfs_core::client::Client) -> fdfs_core::Result<()> {
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// println!("{} bytes", client.stat(&id).await?.size);
    /// # Ok(()) }
    /// ```
    pub async fn stat(&self, id: &FileId) -> Result<FileInfo> {
        self.begin("fdfs.stat")?.info(id, INFO_SILENT).await
    }

    /// Deletes the file; whether there was one. Without `missing_ok`, a file that is not there is
    /// an error.
    ///
    /// ```no_run
    /// # async fn example(client: fdfs_core::client::Client) -> fdfs_core::Result<()> {
    /// let id = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
    /// let was_there = client.delete(&id, true).await?;
    /// # Ok(()) }
    /// ```
    pub async fn delete(&self, id: &FileId, missing_ok: bool) -> Result<bool> {
        let call = self.begin("fdfs.delete")?;
        let request = FileRef { group: group_of(id)?, name: id.name() };
        let command = (Command::DELETE_FILE, 0);
        match call.on_storage::<()>(Query::Update, id, command, &request).await {
            Err(error) if error.kind() == ErrorKind::NotFound && missing_ok => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// The storage the tracker would send an upload to.
    pub async fn pick_upload(&self, group: Option<&str>) -> Result<UploadTarget> {
        self.begin("fdfs.pick_upload")?.target(group).await
    }

    /// Storages that hold a file: one, or all of them.
    pub async fn locate(&self, id: &FileId, all: bool) -> Result<Vec<ServerAddress>> {
        let command = if all { Command::QUERY_FETCH_ALL } else { Command::QUERY_FETCH };
        self.begin("fdfs.locate")?.find(command, id).await
    }

    /// Asks a tracker for a sign of life.
    pub async fn ping(&self) -> Result<()> {
        self.begin("fdfs.ping")?.on_tracker::<()>(Command::ACTIVE_TEST, &()).await
    }

    /// What the pool did, by server.
    pub fn pool_stats(&self) -> Vec<PoolStats> {
        self.inner.pool.stats()
    }

    /// Closes all connections. Calls from now on fail with kind `Closed`; those under way end as
    /// they would.
    pub fn close(&self) {
        self.inner.pool.close();
    }
}

impl Call<'_> {
    async fn info(&self, id: &FileId, flags: u8) -> Result<FileInfo> {
        let request = FileRef { group: group_of(id)?, name: id.name() };
        let command = (Command::QUERY_FILE_INFO, flags);
        let info: protocol::storage::FileInfo =
            self.on_storage(Query::Fetch, id, command, &request).await?;
        Ok(FileInfo {
            size: info.size.max(0).unsigned_abs(),
            modified: types::time(info.modified),
            crc32: info.crc32,
            source_ip: info.source_ip.to_string(),
            kind: id.kind(),
        })
    }

    async fn exists(&self, id: &FileId) -> Result<bool> {
        match self.info(id, INFO_WITHOUT_CRC | INFO_SILENT).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A group name as requests carry it.
fn group(name: &str) -> Result<Group> {
    let group = Group::try_from(name).ok();
    group.filter(|group| protocol::is_group_name(group.as_bytes())).ok_or_else(|| {
        let text = format!("group {name:?}: 1 to 16 letters and digits");
        Error::new(ErrorKind::InvalidArgument, text)
    })
}

/// A number as requests carry it.
fn wire_number(value: u64, what: &str) -> Result<i64> {
    i64::try_from(value).map_err(|_| {
        Error::new(ErrorKind::InvalidArgument, format!("{what} {value} is beyond all files"))
    })
}
