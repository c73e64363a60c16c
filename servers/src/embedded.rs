//! A whole cluster inside this process, for development and tests: nothing installed, nothing
//! left behind.

use crate::storage::config::StorageConfig;
use crate::storage::{RunningStorage, StartupError};
use crate::tracker::RunningTracker;
use crate::tracker::config::TrackerConfig;
use fdfs_core::{Error, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Threads of a cluster that runs in the background.
const THREADS: usize = 2;

/// What the cluster consists of.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Folder for everything; made if missing, and reused if a cluster lived there before. Without
    /// one, a temporary folder that is removed at the end.
    pub dir: Option<PathBuf>,
    /// Groups of storages: names and how many storages each has.
    pub groups: Vec<(String, u8)>,
    /// Port of the tracker; 0 for a free one.
    pub tracker_port: u16,
}

impl EmbeddedOptions {
    /// One storage in `group1`, all in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..Self::default() }
    }
}

impl Default for EmbeddedOptions {
    /// One storage in `group1`, all in a temporary folder.
    fn default() -> Self {
        Self { dir: None, groups: vec![("group1".into(), 1)], tracker_port: 0 }
    }
}

/// A running cluster. [`EmbeddedCluster::shutdown`] ends it in order; dropping it ends it at once,
/// as a crash would.
#[derive(Debug)]
pub struct EmbeddedCluster {
    tracker: RunningTracker,
    storages: Vec<RunningStorage>,
    /// The last to go.
    _temporary: Option<TempDir>,
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
        let temporary = match &options.dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("fdfs-embedded-").tempdir()?),
        };
        let temporary_path = temporary.as_ref().map(|dir| dir.path().to_owned());
        let dir = options.dir.or(temporary_path).unwrap_or_default();
        let config = TrackerConfig::embedded(&folder(&dir, "tracker")?, listen)?;
        let tracker = RunningTracker::start(config)?;
        let mut cluster = Self { tracker, storages: Vec::new(), _temporary: temporary };
        let mut host: u8 = 0;
        for (group, count) in &options.groups {
            // Ports are shared within a group, so its storages differ in their addresses.
            let mut port = 0;
            for _ in 0..*count {
                host += 1;
                let storage = cluster.start_storage(&dir, group, host, port).await?;
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

/// A cluster on threads of its own, for callers that have no runtime: all SDKs. Dropping it ends it
/// in order.
///
/// ```
/// use fdfs_servers::embedded::{Background, EmbeddedOptions};
///
/// let mut cluster = Background::start(EmbeddedOptions::default())?;
/// println!("tracker_server={}", cluster.tracker_addr());
/// cluster.stop()?;
/// # Ok::<(), fdfs_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Background {
    /// `None` once it has ended.
    running: Option<(EmbeddedCluster, Runtime)>,
    tracker: SocketAddr,
    storages: Vec<SocketAddr>,
    /// The process with the threads: they do not survive a fork.
    process: u32,
}

impl Background {
    /// Starts a cluster and waits until uploads can come. Must not be called from a runtime's own
    /// threads.
    pub fn start(options: EmbeddedOptions) -> fdfs_core::Result<Self> {
        let failed = |error: StartupError| {
            let kind = match error {
                StartupError::Config(_) => ErrorKind::Config,
                _ => ErrorKind::LocalIo,
            };
            Error::new(kind, "the embedded cluster cannot start").with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("fdfs-embedded")
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        let cluster = runtime.block_on(EmbeddedCluster::start(options)).map_err(failed)?;
        Ok(Self {
            tracker: cluster.tracker_addr(),
            storages: cluster.storage_addrs(),
            running: Some((cluster, runtime)),
            process: std::process::id(),
        })
    }

    /// Where clients find the tracker.
    pub fn tracker_addr(&self) -> SocketAddr {
        self.tracker
    }

    /// Where the storages are.
    pub fn storage_addrs(&self) -> &[SocketAddr] {
        &self.storages
    }

    /// Ends all servers in order. Doing it again does nothing.
    pub fn stop(&mut self) -> fdfs_core::Result<()> {
        let Some((cluster, runtime)) = self.running.take() else { return Ok(()) };
        if self.process != std::process::id() {
            std::mem::forget((cluster, runtime));
            return Ok(());
        }
        runtime.block_on(cluster.shutdown()).map_err(|error| {
            Error::new(ErrorKind::LocalIo, "ending the embedded cluster").with_source(error)
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the embedded cluster did not end well");
        }
    }
}

fn folder(dir: &Path, name: &str) -> std::io::Result<PathBuf> {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
