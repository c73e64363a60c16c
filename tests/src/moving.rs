//! A group on the loopback interface whose storages come, go and move one by one.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot start fails"
)]

use fdfs_core::client::{Client, ClientOptions, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_core::protocol::StorageStatus;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::storage::{RunningStorage, StartupError};
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between looks at what is waited for.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A tracker, and a folder for the storages of `group1`.
#[derive(Debug)]
pub struct Group {
    /// Everything.
    pub dir: TempDir,
    /// The tracker.
    pub tracker: RunningTracker,
    /// The port that all storages share.
    pub port: u16,
}

/// Waits until something is so.
pub async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// A port that is free at all addresses of members. It is none of those that the system gives to
/// connections: a member's own might get it before another member listens there.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: u16| {
        (1..=9).all(|host| TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), port)).is_ok())
    };
    let first = std::process::id() * 16;
    let mut ports = std::iter::repeat_with(|| {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(10_000 + number % 20_000).unwrap()
    });
    ports.find(|port| is_free(*port)).unwrap()
}

impl Group {
    /// A tracker without storages. Must be called within a runtime.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("tracker");
        std::fs::create_dir(&base).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tracker = RunningTracker::start(TrackerConfig::embedded(&base, any).unwrap()).unwrap();
        Self { dir, tracker, port: free_port() }
    }

    /// Starts a storage at 127.0.0.`host` with what is in `folder`, once `change` has had a look
    /// at its configuration.
    pub async fn storage(
        &self,
        host: u8,
        folder: &str,
        change: impl FnOnce(&mut StorageConfig),
    ) -> RunningStorage {
        let base = self.dir.path().join(folder);
        std::fs::create_dir_all(&base).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), self.port));
        let mut config =
            StorageConfig::embedded(&base, listen, "group1", self.tracker.addr()).unwrap();
        change(&mut config);
        let began = Instant::now();
        let storage = loop {
            match RunningStorage::start(config.clone()).await {
                // The one that was here before may have been dropped a moment ago.
                Err(StartupError::Io(error)) if error.kind() == ErrorKind::AddrInUse => {
                    assert!(began.elapsed() < PATIENCE, "{error}");
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                started => break started.unwrap(),
            }
        };
        tokio::time::timeout(PATIENCE, storage.wait_reported()).await.unwrap();
        storage
    }

    /// The same, once clients are sent there.
    pub async fn active_storage(&self, host: u8, folder: &str) -> RunningStorage {
        let storage = self.storage(host, folder, |_| {}).await;
        tokio::time::timeout(PATIENCE, storage.wait_active()).await.unwrap();
        storage
    }

    /// A client of the group.
    pub fn client(&self) -> Client {
        ClientOptions::new([self.tracker.addr().to_string()]).unwrap().connect()
    }

    /// Waits until the tracker gives the storage at 127.0.0.`host` this status.
    pub async fn wait_status(&self, host: u8, status: StorageStatus) {
        let (client, began) = (self.client(), Instant::now());
        let id = format!("127.0.0.{host}");
        loop {
            let storages = client.list_storages("group1", Some(&id)).await.unwrap_or_default();
            let found = storages.first().map(|storage| storage.status);
            if found == Some(status) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{id} is {found:?}, not {status}");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Uploads files to whichever storage the tracker chooses.
    pub async fn upload(&self, count: usize) -> Vec<FileId> {
        let (client, mut ids) = (self.client(), Vec::new());
        for at in 0..count {
            let content = crate::requests::bytes(at * 7);
            ids.push(client.upload(content, UploadOptions::ext("bin")).await.unwrap());
        }
        ids
    }

    /// Where a storage keeps a file.
    pub fn file(&self, folder: &str, id: &FileId) -> PathBuf {
        let path = id.path();
        self.dir.path().join(folder).join("data").join(path.get(4..).unwrap())
    }

    /// A file of the folder `data/sync` of a storage.
    pub fn sync_file(&self, folder: &str, name: &str) -> PathBuf {
        self.dir.path().join(folder).join("data/sync").join(name)
    }

    /// The lines of a storage's first binlog file.
    pub fn binlog(&self, folder: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.sync_file(folder, "binlog.000")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until a storage has all these files.
    pub async fn wait_files(&self, folder: &str, ids: &[FileId]) {
        wait_until("all files are there", || ids.iter().all(|id| self.file(folder, id).exists()))
            .await;
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}
