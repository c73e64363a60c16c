//! The client: every operation of FastDFS, asynchronous, pooled and safe to share.
//!
//! ```no_run
//! use fdfs_core::client::{Client, ClientOptions, Range, UploadOptions};
//!
//! # async fn example() -> fdfs_core::Result<()> {
//! let client = ClientOptions::new(["10.0.0.1:22122"])?.connect();
//! let id = client.upload(b"hello", UploadOptions::ext("txt")).await?;
//! assert_eq!(client.download(&id, Range::default()).await?, b"hello");
//! client.delete(&id, false).await?;
//! # Ok(()) }
//! ```
//!
//! [`blocking`] offers the same without `async`.
#![allow(clippy::disallowed_methods, reason = "the client reads the clock and local files")]

mod admin;
pub mod blocking;
mod download;
mod exchange;
mod metadata;
mod options;
mod reader;
mod runtime;
mod source;
mod types;
mod upload;
mod writer;

pub use admin::Admin;
pub use options::{CallOptions, ClientOptions, Metadata, Progress, Range, UploadOptions};
pub use reader::Reader;
pub use types::{FileInfo, GroupInfo, ServerAddress, StorageInfo, TrackerInfo, UploadTarget};
pub use writer::Writer;

pub use crate::net::ServerPoolStats;

use crate::error::{Error, ErrorKind, Result};
use crate::file_id::FileId;
use crate::net::{ConnectOptions, Pool, PoolOptions};
use crate::protocol::Command;
use crate::protocol::storage::{FileRef, INFO_SILENT, INFO_WITHOUT_CRC};
use crate::protocol::{self, Group};
use crate::route::Rotation;
use crate::token;
use exchange::Query;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unused connections are closed after this, before any server would.
const IDLE_MAX: Duration = Duration::from_secs(25);
/// Connections unused for longer than this are tested before use.
const TEST_AFTER: Duration = Duration::from_secs(5);

/// A client of one cluster. Clones share its connections; all methods may run at the same time.
///
/// Dropping the future of a call cancels it and closes its connection.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    pool: Arc<Pool>,
    rotation: Mutex<Rotation>,
    epoch: Instant,
    /// For choosing pauses; any sequence will do.
    chance: AtomicU64,
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
            idle_max: IDLE_MAX,
            test_after: TEST_AFTER,
        });
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = u64::from(seed.subsec_nanos());
        let first = usize::try_from(seed).unwrap_or(0);
        Self(Arc::new(Inner {
            rotation: Mutex::new(Rotation::new(options.trackers.len(), first)),
            options,
            pool,
            epoch: Instant::now(),
            chance: AtomicU64::new(seed),
        }))
    }

    /// The options it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    fn chance(&self) -> u64 {
        let chance = self.0.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        (chance ^ (chance >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
    }

    /// Bounds a whole call. `once`: a call that may have had its effect when the time is up.
    async fn bounded<T>(
        &self,
        call: &CallOptions,
        once: bool,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(limit) = call.timeout.or(self.0.options.timeout) else { return work.await };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Timeout, format!("timeout of {limit:?} passed"));
            Err(if once { error.with_outcome_unknown() } else { error })
        })
    }

    /// Whether the file is there.
    pub async fn exists(&self, id: &FileId) -> Result<bool> {
        match self.info(id, INFO_WITHOUT_CRC | INFO_SILENT).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What its storage knows of the file.
    pub async fn stat(&self, id: &FileId) -> Result<FileInfo> {
        self.info(id, INFO_SILENT).await
    }

    async fn info(&self, id: &FileId, flags: u8) -> Result<FileInfo> {
        let request = FileRef { group: group_of(id)?, name: id.name() };
        let command = (Command::QUERY_FILE_INFO, flags);
        let work = self.on_storage(Query::Fetch, id, command, &request);
        let info: protocol::storage::FileInfo =
            self.bounded(&CallOptions::default(), false, work).await?;
        Ok(FileInfo {
            size: info.size.max(0).unsigned_abs(),
            modified: types::time(info.modified),
            crc32: info.crc32,
            source_ip: info.source_ip.to_string(),
            kind: id.kind(),
        })
    }

    /// Deletes the file. With `missing_ok`, a file that is not there is no error.
    pub async fn delete(&self, id: &FileId, missing_ok: bool) -> Result<()> {
        let request = FileRef { group: group_of(id)?, name: id.name() };
        let work = self.on_storage(Query::Update, id, (Command::DELETE_FILE, 0), &request);
        match self.bounded(&CallOptions::default(), true, work).await {
            Err(error) if error.kind() == ErrorKind::NotFound && missing_ok => Ok(()),
            done => done,
        }
    }

    /// The URL of a file behind a web front, with a token when the client has a secret; `expires`
    /// is counted by the front from the time in the token.
    pub fn http_url(&self, id: &FileId, base: &str, filename: Option<&str>) -> String {
        let mut url = format!("{}/{id}", base.trim_end_matches('/'));
        let mut separator = '?';
        let mut add = |key: &str, value: &str| {
            url.push(separator);
            url.push_str(&format!("{key}={value}"));
            separator = '&';
        };
        if let Some(secret) = &self.0.options.token_secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            add("token", &token::make(id.path(), now, secret));
            add("ts", &now.to_string());
        }
        if let Some(filename) = filename {
            add("filename", &escape(filename));
        }
        url
    }

    /// Asks a tracker for a sign of life.
    pub async fn ping(&self) -> Result<()> {
        self.on_tracker::<()>(Command::ACTIVE_TEST, &()).await
    }

    /// What the pool did, by server.
    pub fn pool_stats(&self) -> Vec<ServerPoolStats> {
        self.0.pool.stats()
    }

    /// Closes all connections. Calls from now on fail with kind `Closed`.
    pub fn close(&self) {
        self.0.pool.close();
    }
}

fn group_of(id: &FileId) -> Result<Group> {
    Group::try_from(id.group())
        .map_err(|error| Error::new(ErrorKind::InvalidArgument, "no group name").with_source(error))
}

/// Percent-encodes what may not stand in a query.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
