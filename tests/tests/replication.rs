//! Storages of a group send each other what clients changed.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::{Metadata, Range, UploadOptions};
use fdfs_tests::group::Group;
use fdfs_tests::scenarios::bytes;

#[test]
fn every_change_reaches_every_member() {
    let group = Group::start(3);
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
    let files = group.settle();
    let named = |id: &fdfs_core::file_id::FileId| {
        files.keys().any(|path| id.path().ends_with(&*path.file_name().unwrap().to_string_lossy()))
    };
    assert!(kept.iter().all(named), "{files:?}");
    assert!(!named(&gone));
    group.runtime.block_on(async {
        for id in &kept {
            assert!(client.download(id, Range::default()).await.is_ok());
        }
    });
    group.shutdown();
}

#[test]
fn a_member_that_comes_back_gets_what_it_missed() {
    let mut group = Group::start(2);
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
    let before = group.settle().len();
    assert_eq!(before, 50);
    upload(50);
    // Ended in order, or not at all: what is on its way is sent again.
    group.restart();
    assert_eq!(group.settle().len(), 100);
}
