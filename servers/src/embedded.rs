//! A whole cluster inside this process, for development and tests: nothing installed, nothing
//! left behind.

use crate::storage::config::StorageConfig;
use crate::storage::{RunningStorage, StartupError};
use crate::tracker::RunningTracker;
use crate::tracker::config::TrackerConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What the cluster consists of.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Folder for everything; made if missing, and reused if a cluster lived there before.
    pub dir: PathBuf,
    /// Groups of storages: names and how many storages each has.
    pub groups: Vec<(String, u8)>,
    /// Port of the tracker; 0 for a free one.
    pub tracker_port: u16,
}

impl EmbeddedOptions {
    /// One storage in `group1`, all in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), groups: vec![("group1".into(), 1)], tracker_port: 0 }
    }
}

/// A running cluster. [`EmbeddedCluster::shutdown`] ends it in order; dropping it ends it at once,
/// as a crash would.
#[derive(Debug)]
pub struct EmbeddedCluster {
    tracker: RunningTracker,
    storages: Vec<RunningStorage>,
}

impl EmbeddedCluster {
    /// Starts tracker and storages on free ports of the loopback interface and waits until
    /// uploads can come. Must be called within a tokio runtime.
    ///
    /// ```
    /// use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let cluster = EmbeddedCluster::start(EmbeddedOptions::new(dir.path())).await?;
    /// println!("tracker_server={}", cluster.tracker_addr());
    /// cluster.shutdown().await?;
    /// # Ok(()) })
    /// # }
    /// ```
    pub async fn start(options: EmbeddedOptions) -> Result<Self, StartupError> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.tracker_port));
        let config = TrackerConfig::embedded(&folder(&options.dir, "tracker")?, listen)?;
        let mut cluster = Self { tracker: RunningTracker::start(config)?, storages: Vec::new() };
        let mut host: u8 = 0;
        for (group, count) in &options.groups {
            // Ports are shared within a group, so its storages differ in their addresses.
            let mut port = 0;
            for _ in 0..*count {
                host += 1;
                let storage = cluster.start_storage(&options.dir, group, host, port).await?;
                port = storage.addr().port();
                cluster.storages.push(storage);
            }
        }
        for storage in &cluster.storages {
            // Not "active": in a group of several, that needs the first one's files.
            storage.wait_reported().await;
        }
        Ok(cluster)
    }

    async fn start_storage(
        &self,
        dir: &Path,
        group: &str,
        host: u8,
        port: u16,
    ) -> Result<RunningStorage, StartupError> {
        let listen = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), port));
        let folder = folder(dir, &format!("storage{host}"))?;
        let config = StorageConfig::embedded(&folder, listen, group, self.tracker_addr())?;
        RunningStorage::start(config).await
    }

    /// Where clients find the tracker.
    pub fn tracker_addr(&self) -> SocketAddr {
        self.tracker.addr()
    }

    /// Where the storages are.
    pub fn storage_addrs(&self) -> Vec<SocketAddr> {
        self.storages.iter().map(RunningStorage::addr).collect()
    }

    /// The storages, for looking at them.
    pub fn storages(&self) -> &[RunningStorage] {
        &self.storages
    }

    /// Ends all servers in order and saves their state.
    pub async fn shutdown(self) -> std::io::Result<()> {
        for storage in self.storages {
            storage.shutdown().await?;
        }
        self.tracker.shutdown().await
    }
}

fn folder(dir: &Path, name: &str) -> std::io::Result<PathBuf> {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
