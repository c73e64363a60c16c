//! What the scenarios of all languages play on: clusters, and servers that misbehave.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "without a stage, no test")]

use fdfs_core::protocol::address::AddrWidth;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Bytes after which a cutting server dies.
const CUT_AFTER: usize = 1 << 20;
/// Bytes of a reply that a half server sends.
const HALF: usize = 5;

/// How a server misbehaves towards its clients.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Dies when this many bytes have gone in one direction.
    Cut,
    /// Sends the beginning of its reply and closes.
    Half,
    /// Takes everything and never answers.
    Stall,
}

/// Clusters and misbehaving servers that live as long as this.
pub struct Stage {
    vars: Vec<(&'static str, String)>,
    clusters: Vec<EmbeddedCluster>,
    odd: Vec<(RunningTracker, RunningStorage)>,
    runtime: Runtime,
    dir: TempDir,
}

impl Stage {
    /// Sets everything up.
    pub fn set() -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut stage =
            Self { vars: Vec::new(), clusters: Vec::new(), odd: Vec::new(), runtime, dir };
        stage.set_clusters();
        let first = stage.clusters.first().map(EmbeddedCluster::storage_addrs);
        let storage = first.and_then(|addrs| addrs.first().copied()).unwrap();
        stage.vars.push(("FDFS_STORAGE", storage.to_string()));
        for (name, fault) in
            [("FDFS_CUT", Fault::Cut), ("FDFS_HALF", Fault::Half), ("FDFS_STALL", Fault::Stall)]
        {
            let addr = stage.runtime.block_on(misbehave(fault, storage));
            stage.vars.push((name, addr.to_string()));
        }
        // Bound and dropped: nobody is there.
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        stage.vars.push(("FDFS_DEAD", dead.to_string()));
        let work = stage.dir.path().join("work");
        std::fs::create_dir(&work).unwrap();
        stage.vars.push(("FDFS_DIR", work.display().to_string()));
        let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");
        stage.vars.push(("FDFS_VECTORS", vectors.to_owned()));
        stage
    }

    fn set_clusters(&mut self) {
        let mut options = EmbeddedOptions::new(self.dir.path().join("cluster"));
        options.groups = vec![("group1".into(), 1), ("group2".into(), 1)];
        let cluster = self.runtime.block_on(EmbeddedCluster::start(options)).unwrap();
        self.vars.push(("FDFS_TRACKER", cluster.tracker_addr().to_string()));
        self.clusters.push(cluster);
        for (name, width) in
            [("FDFS_TRACKER_V4", AddrWidth::V4), ("FDFS_TRACKER_V6", AddrWidth::V6)]
        {
            let folder = self.dir.path().join(name);
            let (tracker, storage) = self.runtime.block_on(odd(&folder, width));
            self.vars.push((name, tracker.addr().to_string()));
            self.odd.push((tracker, storage));
        }
    }

    /// What a runner finds in its environment.
    pub fn vars(&self) -> &[(&'static str, String)] {
        &self.vars
    }

    /// One of them.
    pub fn var(&self, name: &str) -> &str {
        let found = self.vars.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("vars", &self.vars).finish_non_exhaustive()
    }
}

/// A cluster whose tracker answers with addresses of this width.
async fn odd(folder: &Path, width: AddrWidth) -> (RunningTracker, RunningStorage) {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (tracker, storage) = (folder.join("tracker"), folder.join("storage"));
    std::fs::create_dir_all(&tracker).unwrap();
    std::fs::create_dir_all(&storage).unwrap();
    let mut config = TrackerConfig::embedded(&tracker, any_port).unwrap();
    config.params.response_ip_addr_size = width;
    let tracker = RunningTracker::start(config).unwrap();
    let config = StorageConfig::embedded(&storage, any_port, "group1", tracker.addr()).unwrap();
    let storage = RunningStorage::start(config).await.unwrap();
    storage.wait_reported().await;
    (tracker, storage)
}

/// A server in front of a storage.
async fn misbehave(fault: Fault, storage: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(server) = TcpStream::connect(storage).await {
                    relay(fault, client, server).await;
                }
            });
        }
    });
    addr
}

async fn relay(fault: Fault, client: TcpStream, server: TcpStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let limit = if matches!(fault, Fault::Cut) { CUT_AFTER } else { usize::MAX };
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        let mut moved = 0;
        while let Ok(read) = from_client.read(&mut buffer).await {
            let piece = buffer.get(..read).unwrap_or_default();
            moved += read;
            if read == 0 || moved > limit {
                break;
            }
            if !matches!(fault, Fault::Stall) && to_server.write_all(piece).await.is_err() {
                break;
            }
        }
    };
    let down = async {
        let limit = if matches!(fault, Fault::Half) { HALF } else { limit };
        let mut buffer = vec![0; 64 << 10];
        let mut moved = 0;
        while let Ok(read) = from_server.read(&mut buffer).await {
            let read = read.min(limit - moved);
            let piece = buffer.get(..read).unwrap_or_default();
            moved += read;
            if read == 0 || to_client.write_all(piece).await.is_err() || moved >= limit {
                break;
            }
        }
    };
    // Whoever ends first ends both: the connections close with them.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
