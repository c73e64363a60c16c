//! A group of storages within this process.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a lab that fails panics")]

use crate::trees::{Tree, settle};
use fdfs_core::client::{Client, ClientOptions};
use fdfs_core::file_id::FileId;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Longest wait for members to become equal, or active.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tracker and the storages of `group1`.
#[derive(Debug)]
pub struct Group {
    /// Where they run.
    pub runtime: Runtime,
    dir: tempfile::TempDir,
    members: u8,
    cluster: Option<EmbeddedCluster>,
}

impl Group {
    /// Starts this many storages.
    pub fn start(members: u8) -> Self {
        let (runtime, dir) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let mut group = Self { runtime, dir, members, cluster: None };
        group.start_again();
        group
    }

    fn start_again(&mut self) {
        let mut options = EmbeddedOptions::new(self.dir.path());
        options.groups = vec![("group1".into(), self.members)];
        let started = EmbeddedCluster::start(options);
        let started = self.runtime.block_on(async { timeout(PATIENCE, started).await });
        self.cluster = Some(started.expect("the cluster starts").unwrap());
    }

    /// Ends all servers in order and starts them again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    fn stop(&mut self) {
        let cluster = self.cluster.take().unwrap();
        self.runtime.block_on(cluster.shutdown()).unwrap();
    }

    /// Ends all servers in order.
    pub fn shutdown(mut self) {
        self.stop();
    }

    /// Where clients find the tracker.
    pub fn tracker(&self) -> String {
        self.cluster.as_ref().unwrap().tracker_addr().to_string()
    }

    /// A client.
    pub fn client(&self) -> Client {
        ClientOptions::new([self.tracker()]).unwrap().connect()
    }

    /// Waits until all storages serve.
    pub fn wait_active(&self) {
        self.runtime.block_on(async {
            for storage in self.cluster.as_ref().unwrap().storages() {
                timeout(PATIENCE, storage.wait_active()).await.unwrap();
            }
        });
    }

    /// The folder of everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The store path of a storage; they are counted from 1.
    pub fn store_path(&self, member: u8) -> PathBuf {
        self.dir.path().join(format!("storage{member}"))
    }

    /// Where a file lies.
    pub fn path(&self, member: u8, id: &FileId) -> PathBuf {
        let true_name = id.path().split_once('/').unwrap().1.to_owned();
        self.store_path(member).join("data").join(true_name)
    }

    /// Waits until all members hold the same, and gives it.
    pub fn settle(&self) -> Tree {
        let dirs: Vec<_> = (1..=self.members).map(|member| self.store_path(member)).collect();
        settle(&dirs, PATIENCE)
    }
}
