//! Random operations against a storage and against a map; they must agree, also across restarts
//! (reliability plan T6).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::ErrorKind;
use fdfs_core::client::{Client, ClientOptions, Metadata, Range, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Cases; each is a sequence of operations on one cluster that lives through all of them.
const CASES: u32 = 200;

#[derive(Debug, Clone)]
enum Op {
    Upload { len: usize, appender: bool },
    Append { file: usize, len: usize },
    Modify { file: usize, at: usize, len: usize },
    Truncate { file: usize, len: usize },
    Finalize { file: usize },
    SetMetadata { file: usize, key: u8, merge: bool },
    Read { file: usize, offset: i64, len: u64 },
    Delete { file: usize },
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let file = 0..8usize;
    let len = prop_oneof![0..3000usize, Just(262_144), 262_000..300_000usize];
    prop_oneof![
        4 => (len.clone(), any::<bool>()).prop_map(|(len, appender)| Op::Upload { len, appender }),
        3 => (file.clone(), len.clone()).prop_map(|(file, len)| Op::Append { file, len }),
        2 => (file.clone(), 0..4000usize, 0..2000usize)
            .prop_map(|(file, at, len)| Op::Modify { file, at, len }),
        2 => (file.clone(), 0..5000usize).prop_map(|(file, len)| Op::Truncate { file, len }),
        1 => file.clone().prop_map(|file| Op::Finalize { file }),
        2 => (file.clone(), 0..4u8, any::<bool>())
            .prop_map(|(file, key, merge)| Op::SetMetadata { file, key, merge }),
        3 => (file.clone(), -5000..5000i64, 0..5000u64)
            .prop_map(|(file, offset, len)| Op::Read { file, offset, len }),
        2 => file.prop_map(|file| Op::Delete { file }),
        1 => Just(Op::Restart).prop_filter("rarely", |_| true),
    ]
}

struct File {
    id: FileId,
    content: Vec<u8>,
    appender: bool,
    metadata: Metadata,
}

struct World {
    dir: tempfile::TempDir,
    cluster: Option<EmbeddedCluster>,
    client: Client,
    files: Vec<File>,
    byte: u8,
    restarts: u32,
}

impl World {
    async fn start(dir: tempfile::TempDir) -> Self {
        let cluster = EmbeddedCluster::start(EmbeddedOptions::new(dir.path())).await.unwrap();
        let tracker = cluster.tracker_addr().to_string();
        let client = ClientOptions::new([tracker]).unwrap().connect();
        let cluster = Some(cluster);
        Self { dir, cluster, client, files: Vec::new(), byte: 0, restarts: 0 }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.byte = self.byte.wrapping_add(37);
        vec![self.byte; len]
    }

    async fn apply(&mut self, op: Op) {
        let count = self.files.len().max(1);
        match op {
            Op::Upload { len, appender } => {
                let content = self.bytes(len);
                let options = UploadOptions { appender, ..UploadOptions::ext("bin") };
                let id = self.client.upload(&content, options).await.unwrap();
                self.files.push(File { id, content, appender, metadata: Metadata::new() });
            }
            Op::Restart if self.restarts < 10 => self.restart().await,
            Op::Append { file, len } => self.append(file % count, len).await,
            Op::Modify { file, at, len } => self.modify(file % count, at, len).await,
            Op::Truncate { file, len } => self.truncate(file % count, len).await,
            Op::Finalize { file } => self.finalize(file % count).await,
            Op::SetMetadata { file, key, merge } => self.annotate(file % count, key, merge).await,
            Op::Read { file, offset, len } => self.read(file % count, offset, len).await,
            Op::Delete { file } if file < self.files.len() => {
                let file = self.files.swap_remove(file);
                self.client.delete(&file.id, false).await.unwrap();
                assert!(!self.client.exists(&file.id).await.unwrap());
            }
            Op::Restart | Op::Delete { .. } => {}
        }
    }

    async fn restart(&mut self) {
        self.restarts += 1;
        self.client.close();
        self.cluster.take().unwrap().shutdown().await.unwrap();
        let options = EmbeddedOptions::new(self.dir.path());
        let cluster = EmbeddedCluster::start(options).await.unwrap();
        let tracker = cluster.tracker_addr().to_string();
        self.client = ClientOptions::new([tracker]).unwrap().connect();
        self.cluster = Some(cluster);
    }

    async fn append(&mut self, at: usize, len: usize) {
        let more = self.bytes(len);
        let Some(file) = self.files.get_mut(at) else { return };
        match self.client.append(&file.id, &more).await {
            Ok(()) => {
                assert!(file.appender || more.is_empty());
                file.content.extend_from_slice(&more);
            }
            Err(error) => {
                assert!(!file.appender && error.kind() == ErrorKind::InvalidArgument, "{error}");
            }
        }
    }

    async fn modify(&mut self, at: usize, offset: usize, len: usize) {
        let new = self.bytes(len);
        let Some(file) = self.files.get_mut(at) else { return };
        let fits = file.appender && offset <= file.content.len();
        match self.client.modify(&file.id, offset as u64, &new).await {
            Ok(()) if new.is_empty() => {}
            Ok(()) => {
                assert!(fits);
                let end = offset + new.len();
                file.content.resize(file.content.len().max(end), 0);
                file.content[offset..end].copy_from_slice(&new);
            }
            Err(error) => assert!(!fits && error.kind() == ErrorKind::InvalidArgument, "{error}"),
        }
    }

    async fn truncate(&mut self, at: usize, len: usize) {
        let Some(file) = self.files.get_mut(at) else { return };
        match self.client.truncate(&file.id, len as u64).await {
            Ok(()) => {
                assert!(file.appender);
                file.content.resize(len, 0);
            }
            Err(error) => {
                assert!(!file.appender && error.kind() == ErrorKind::InvalidArgument, "{error}");
            }
        }
    }

    async fn finalize(&mut self, at: usize) {
        let Some(file) = self.files.get_mut(at) else { return };
        match self.client.finalize(&file.id).await {
            Ok(id) => {
                assert!(file.appender);
                assert_eq!(id.crc32(), Some(crc32fast::hash(&file.content)));
                // The metadata keeps the old name (spec 01 §8.7).
                (file.id, file.appender) = (id, false);
                file.metadata.clear();
            }
            Err(error) => assert!(!file.appender, "{error}"),
        }
    }

    async fn annotate(&mut self, at: usize, key: u8, merge: bool) {
        let value = self.bytes(1)[0].to_string();
        let Some(file) = self.files.get_mut(at) else { return };
        let items = Metadata::from([(format!("key{key}"), value)]);
        self.client.set_metadata(&file.id, &items, merge).await.unwrap();
        if !merge {
            file.metadata.clear();
        }
        file.metadata.extend(items);
        assert_eq!(self.client.get_metadata(&file.id).await.unwrap(), file.metadata);
    }

    async fn read(&mut self, at: usize, offset: i64, len: u64) {
        let Some(file) = self.files.get(at) else { return };
        let size = file.content.len() as i64;
        let start = if offset < 0 { (size + offset).max(0) } else { offset };
        match self.client.download(&file.id, Range::new(offset, len)).await {
            Ok(got) => {
                let start = usize::try_from(start.min(size)).unwrap();
                let end = (start + usize::try_from(len).unwrap()).min(file.content.len());
                assert!(got == file.content[start..end]);
            }
            Err(error) => assert!(start > size, "{error}"),
        }
    }

    async fn check_all(&self) {
        for file in &self.files {
            let got = self.client.download(&file.id, Range::default()).await.unwrap();
            assert!(got == file.content, "{}", file.id);
            assert_eq!(self.client.stat(&file.id).await.unwrap().size, file.content.len() as u64);
        }
    }
}

#[test]
fn a_storage_and_a_map_agree() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(tempfile::tempdir().unwrap()));
    let world = std::cell::RefCell::new(world);
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let sequences = proptest::collection::vec(op(), 1..25);
    runner
        .run(&sequences, |ops| {
            let mut world = world.borrow_mut();
            runtime.block_on(async {
                for op in ops {
                    world.apply(op).await;
                }
                world.check_all().await;
                for file in std::mem::take(&mut world.files) {
                    world.client.delete(&file.id, false).await.unwrap();
                }
                world.restarts = world.restarts.saturating_sub(1);
            });
            Ok(())
        })
        .unwrap();
    let world = world.into_inner();
    runtime.block_on(world.cluster.unwrap().shutdown()).unwrap();
}
