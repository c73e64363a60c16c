//! A storage engine on a socket without a cluster around it, on a disk that fails when told to.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a lab that fails panics")]

use crate::raw::Raw;
use fdfs_core::config::{ClusterParams, StorageIds};
use fdfs_core::file_id::{LogicName, Source};
use fdfs_servers::daemon::{ConnLimits, Server, ServerOptions};
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::storage::disk::{RealDisk, fault::FaultDisk};
use fdfs_servers::storage::engine::{Engine, Identity};
use fdfs_servers::storage::{Spare, World, serve};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The engine and all it needs; gone when dropped.
#[derive(Debug)]
pub struct EngineLab {
    runtime: tokio::runtime::Runtime,
    server: Server,
    /// The engine.
    pub engine: Arc<Engine>,
    /// Its disk.
    pub disk: FaultDisk,
    dir: tempfile::TempDir,
}

impl EngineLab {
    /// Starts an engine whose disk fails with `errno`, with these lines of a tracker's parameters.
    pub fn new(errno: i32, params: &str, change: impl FnOnce(&mut StorageConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let tracker = "127.0.0.1:1".parse().unwrap();
        let mut config = StorageConfig::embedded(dir.path(), any, "group1", tracker).unwrap();
        config.keys.subdir_count_per_path = 2;
        change(&mut config);
        let identity = Identity {
            group: "group1".try_into().unwrap(),
            id: "127.0.0.1".try_into().unwrap(),
            source: Source::Ip([127, 0, 0, 1].into()),
        };
        let params = ClusterParams::parse(&format!("reserved_storage_space=1MB\n{params}"));
        let disk = FaultDisk::new(Arc::new(RealDisk), errno);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build();
        let runtime = runtime.unwrap();
        let within = runtime.enter();
        let real = World::real(Spare::withhold(runtime.handle())).unwrap();
        let world = World { disk: Arc::new(disk.clone()), ..real };
        let (params, ids) = (params.unwrap(), StorageIds::default());
        let engine = Arc::new(Engine::open(&config, identity, params, ids, world).unwrap());
        let options = ServerOptions {
            addrs: vec![any],
            connections_max: 100,
            limits: ConnLimits::new(256 * 1024, Duration::from_secs(5)),
            allow: Arc::new(|_| true),
        };
        let served = engine.clone();
        let server = Server::start(&options, move |conn| serve(served.clone(), conn)).unwrap();
        drop(within);
        Self { runtime, server, engine, disk, dir }
    }

    /// Connects.
    pub fn connect(&self) -> Raw {
        Raw::connect(*self.server.addrs().first().unwrap())
    }

    /// The folder of everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where a file of the first store path lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join("data").join(LogicName::parse(name.as_bytes()).unwrap().true_name())
    }

    /// The binlog's records without their times.
    pub fn binlog(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir().join("data/sync/binlog.000")).unwrap();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// Everything below the first store path but the binlog: files with their content, links with
    /// their targets.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn collect(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                if kind.is_symlink() {
                    let target = std::fs::read_link(&path).unwrap();
                    files.insert(path, target.into_os_string().into_encoded_bytes());
                } else if !kind.is_dir() {
                    let content = std::fs::read(&path).unwrap();
                    files.insert(path, content);
                } else if entry.file_name() != "sync" {
                    collect(&path, files);
                }
            }
        }
        let mut files = BTreeMap::new();
        collect(&self.dir().join("data"), &mut files);
        files
    }

    /// The runtime that serves.
    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }
}
