//! Storages of a group send each other what clients changed.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{Client, ClientOptions, Metadata, Range, UploadOptions};
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_tests::scenarios::bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest wait for members to become equal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Files, links and content below a store path.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_owned();
            let in_store = name.components().count() == 4;
            // What was there a moment ago may have got its final name since.
            let Ok(meta) = path.symlink_metadata() else { continue };
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(name, target.file_name().unwrap().as_encoded_bytes().to_vec());
            } else if in_store && !name.starts_with("data/sync") {
                let Ok(content) = std::fs::read(&path) else { continue };
                found.insert(name, content);
            }
        }
    }
    found
}

struct Group {
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
    cluster: Option<EmbeddedCluster>,
}

impl Group {
    fn new(storages: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut options = EmbeddedOptions::new(dir.path());
        options.groups = vec![("group1".into(), storages)];
        let cluster = runtime.block_on(EmbeddedCluster::start(options)).unwrap();
        Self { runtime, dir, cluster: Some(cluster) }
    }

    fn client(&self) -> Client {
        let tracker = self.cluster.as_ref().unwrap().tracker_addr().to_string();
        ClientOptions::new([tracker]).unwrap().connect()
    }

    fn wait_active(&self) {
        let storages = self.cluster.as_ref().unwrap().storages();
        self.runtime.block_on(async {
            for storage in storages {
                tokio::time::timeout(PATIENCE, storage.wait_active()).await.unwrap();
            }
        });
    }

    /// Waits until all members hold the same, and gives it.
    fn settle(&self, storages: u8) -> BTreeMap<PathBuf, Vec<u8>> {
        let began = Instant::now();
        loop {
            let trees: Vec<_> = (1..=storages)
                .map(|at| tree(&self.dir.path().join(format!("storage{at}"))))
                .collect();
            if trees.iter().all(|tree| Some(tree) == trees.first()) {
                return trees.into_iter().next().unwrap();
            }
            let names: Vec<Vec<_>> = trees.iter().map(|tree| tree.keys().collect()).collect();
            assert!(began.elapsed() < PATIENCE, "still different: {names:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn every_change_reaches_every_member() {
    let group = Group::new(3);
    group.wait_active();
    let client = group.client();
    let (kept, gone) = group.runtime.block_on(async {
        let options = UploadOptions {
            metadata: Metadata::from([("a".into(), "1".into())]),
            ..UploadOptions::ext("jpg")
        };
        let mut kept = Vec::new();
        for len in [0, 1, 4096, 262_144, 262_145, 3_000_000] {
            kept.push(client.upload(bytes(len), options.clone()).await.unwrap());
        }
        let gone = client.upload(b"gone", options.clone()).await.unwrap();
        kept.push(client.upload_slave(&kept[1], "_s", b"slave", options.clone()).await.unwrap());
        client
            .set_metadata(&kept[2], &Metadata::from([("b".into(), "2".into())]), true)
            .await
            .unwrap();
        let appender = UploadOptions { appender: true, ..UploadOptions::ext("log") };
        let log = client.upload(b"one", appender.clone()).await.unwrap();
        for piece in 0..20 {
            client.append(&log, bytes(piece * 1000)).await.unwrap();
        }
        client.modify(&log, 2, b"MODIFIED").await.unwrap();
        client.truncate(&log, 5000).await.unwrap();
        kept.push(log);
        let log = client.upload(b"to be final", appender).await.unwrap();
        kept.push(client.finalize(&log).await.unwrap());
        client.delete(&gone, false).await.unwrap();
        (kept, gone)
    });
    let files = group.settle(3);
    let named = |id: &fdfs_core::file_id::FileId| {
        files.keys().any(|path| id.path().ends_with(&*path.file_name().unwrap().to_string_lossy()))
    };
    assert!(kept.iter().all(named), "{files:?}");
    assert!(!named(&gone));
    group.runtime.block_on(async {
        for id in &kept {
            assert!(client.download(id, Range::default()).await.is_ok());
        }
        group.cluster.unwrap().shutdown().await.unwrap();
    });
}

#[test]
fn a_member_that_comes_back_gets_what_it_missed() {
    let mut group = Group::new(2);
    group.wait_active();
    let client = group.client();
    let upload = |count: usize| {
        group.runtime.block_on(async {
            for at in 0..count {
                client.upload(bytes(at * 10), UploadOptions::ext("bin")).await.unwrap();
            }
        });
    };
    upload(50);
    let before = group.settle(2).len();
    assert_eq!(before, 50);
    upload(50);
    // Ended in order, or not at all: what is on its way is sent again.
    let cluster = group.cluster.take().unwrap();
    group.runtime.block_on(cluster.shutdown()).unwrap();
    let mut options = EmbeddedOptions::new(group.dir.path());
    options.groups = vec![("group1".into(), 2)];
    let started = EmbeddedCluster::start(options);
    let started = group.runtime.block_on(async { tokio::time::timeout(PATIENCE, started).await });
    group.cluster = Some(started.expect("the cluster starts again").unwrap());
    assert_eq!(group.settle(2).len(), 100);
}
