//! The scenarios of `tests/scenarios.tsv` in Rust: what every client must be able to do at every
//! server, ours or the original.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a scenario that fails panics")]

use crate::stage::Stage;
use fdfs_core::ErrorKind;
use fdfs_core::client::{
    CallOptions, Cancel, Client, ClientOptions, Metadata, Range, UploadOptions,
};
use fdfs_core::file_id::Kind;
use fdfs_core::protocol::StorageStatus;
use std::time::Duration;

/// Bytes that repeat late enough to betray any misplaced piece.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at ^ (at >> 9) ^ (at >> 17)) & 0xff).unwrap_or(0)).collect()
}

/// Runs the scenarios that need nothing but servers.
pub async fn all(client: &Client) {
    round_trips(client).await;
    ranges(client).await;
    files_and_streams(client).await;
    appender(client).await;
    slave(client).await;
    metadata(client).await;
    errors(client).await;
    cluster(client).await;
    concurrent(client).await;
}

/// Runs the scenarios with servers that misbehave.
pub async fn on_stage(stage: &Stage) {
    address_widths(stage).await;
    tracker_down(stage).await;
    cut(stage).await;
    half_reply(stage).await;
    stall(stage).await;
    cancel_reuse(stage).await;
}

async fn round_trips(client: &Client) {
    for len in [0, 1, 262_143, 262_144, 262_145, 104_857_600] {
        let content = bytes(len);
        let id = client.upload(&content, UploadOptions::ext("bin")).await.unwrap();
        assert_eq!((id.kind(), id.size()), (Kind::Normal, Some(len as u64)));
        assert!(client.download(&id, Range::default()).await.unwrap() == content, "{len}");
        let info = client.stat(&id).await.unwrap();
        assert_eq!((info.size, Some(info.crc32)), (len as u64, id.crc32()));
        client.delete(&id, false).await.unwrap();
        assert!(!client.exists(&id).await.unwrap());
    }
    println!("ok round_trips");
}

async fn ranges(client: &Client) {
    let content = bytes(1_000_000);
    let id = client.upload(&content, UploadOptions::default()).await.unwrap();
    for (range, expected) in [
        (Range::new(10, 20), 10..30),
        (Range::from(999_990), 999_990..1_000_000),
        (Range::new(999_990, 1000), 999_990..1_000_000),
        (Range::from(-5), 999_995..1_000_000),
        (Range::from(1_000_000), 0..0),
        (Range::new(0, 0), 0..0),
    ] {
        let got = client.download(&id, range).await.unwrap();
        assert!(Some(&got[..]) == content.get(expected), "{range:?}");
    }
    let mut buffer = [0; 100];
    assert_eq!(client.download_into(&id, &mut buffer, 7).await.unwrap(), 100);
    assert_eq!(Some(&buffer[..]), content.get(7..107));
    client.delete(&id, false).await.unwrap();
    println!("ok ranges");
}

async fn appender(client: &Client) {
    let options = UploadOptions { appender: true, ..UploadOptions::ext("log") };
    let id = client.upload(b"one", options).await.unwrap();
    assert_eq!((id.kind(), id.size()), (Kind::Appender, None));
    client.append(&id, b" two").await.unwrap();
    client.append(&id, b"").await.unwrap();
    client.modify(&id, 0, b"ONE").await.unwrap();
    client.truncate(&id, 5).await.unwrap();
    client.truncate(&id, 5).await.unwrap();
    assert_eq!(client.download(&id, Range::default()).await.unwrap(), b"ONE t");
    assert_eq!(client.stat(&id).await.unwrap().size, 5);
    let normal = client.finalize(&id).await.unwrap();
    assert_eq!((normal.kind(), normal.size()), (Kind::Normal, Some(5)));
    assert!(!client.exists(&id).await.unwrap());
    client.delete(&normal, false).await.unwrap();

    let mut writer = client.create(UploadOptions::ext("txt"), true).await.unwrap();
    let content = bytes(700_000);
    for piece in content.chunks(99_999) {
        writer.write(piece).await.unwrap();
    }
    let id = writer.finish().await.unwrap();
    assert!(client.download(&id, Range::default()).await.unwrap() == content);
    client.delete(&id, false).await.unwrap();
    println!("ok appender");
}

async fn slave(client: &Client) {
    let master = client.upload(b"master", UploadOptions::ext("jpg")).await.unwrap();
    let slave = client.upload_slave(&master, "_big", b"slave", UploadOptions::ext("jpg"));
    let slave = slave.await.unwrap();
    assert_eq!(slave, master.slave("_big", "jpg").unwrap());
    assert_eq!(slave.kind(), Kind::Slave);
    assert_eq!(client.download(&slave, Range::default()).await.unwrap(), b"slave");
    let again = client.upload_slave(&master, "_big", b"slave", UploadOptions::ext("jpg"));
    assert_eq!(again.await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    client.delete(&slave, false).await.unwrap();
    client.delete(&master, false).await.unwrap();
    println!("ok slave");
}

async fn metadata(client: &Client) {
    let items = |pairs: &[(&str, &str)]| -> Metadata {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let first = items(&[("author", "Åse 木"), ("width", "160")]);
    let options = UploadOptions { metadata: first.clone(), ..UploadOptions::ext("png") };
    let id = client.upload(b"x", options).await.unwrap();
    assert_eq!(client.get_metadata(&id).await.unwrap(), first);
    client.set_metadata(&id, &items(&[("width", "80"), ("a", "")]), true).await.unwrap();
    let merged = items(&[("author", "Åse 木"), ("width", "80"), ("a", "")]);
    assert_eq!(client.get_metadata(&id).await.unwrap(), merged);
    client.set_metadata(&id, &items(&[("only", "1")]), false).await.unwrap();
    assert_eq!(client.get_metadata(&id).await.unwrap(), items(&[("only", "1")]));
    client.set_metadata(&id, &Metadata::new(), false).await.unwrap();
    assert!(client.get_metadata(&id).await.unwrap().is_empty());
    client.delete(&id, false).await.unwrap();
    println!("ok metadata");
}

async fn errors(client: &Client) {
    let id = client.upload(b"x", UploadOptions::ext("txt")).await.unwrap();
    client.delete(&id, false).await.unwrap();
    client.delete(&id, true).await.unwrap();
    let kinds = [
        client.delete(&id, false).await.unwrap_err().kind(),
        client.download(&id, Range::default()).await.unwrap_err().kind(),
        client.stat(&id).await.unwrap_err().kind(),
        client.get_metadata(&id).await.unwrap_err().kind(),
        client.append(&id, b"x").await.unwrap_err().kind(),
    ];
    assert_eq!(kinds.first().copied(), Some(ErrorKind::NotFound));
    assert!(kinds.iter().take(4).all(|kind| *kind == ErrorKind::NotFound), "{kinds:?}");
    let elsewhere = format!("nogroup/{}", id.path()).parse().unwrap();
    assert_eq!(client.stat(&elsewhere).await.unwrap_err().kind(), ErrorKind::NoServer);
    let group = Some("nogroup".to_owned());
    let options = UploadOptions { group, ..UploadOptions::default() };
    assert_eq!(client.upload(b"x", options).await.unwrap_err().kind(), ErrorKind::NoServer);
    println!("ok errors");
}

async fn files_and_streams(client: &Client) {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("a.tar.gz"), dir.path().join("b"));
    let content = bytes(9_000_000);
    std::fs::write(&from, &content).unwrap();
    let id = client.upload_file(&from, UploadOptions::default()).await.unwrap();
    assert!(id.path().ends_with(".tar.gz"));
    let len = client.download_file(&id, &to, Range::default()).await.unwrap();
    assert_eq!(len, 9_000_000);
    assert!(std::fs::read(&to).unwrap() == content);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no file beside");
    client.delete(&id, false).await.unwrap();
    // Larger than what is kept in memory, and of unknown size.
    let id = client.upload_reader(&content[..], None, UploadOptions::default()).await.unwrap();
    let mut reader = client.open(&id, Range::from(8_999_000)).await.unwrap();
    let (mut tail, mut buffer) = (Vec::new(), [0; 300]);
    loop {
        let read = reader.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    assert!(Some(&tail[..]) == content.get(8_999_000..));
    client.delete(&id, false).await.unwrap();
    println!("ok files_and_streams");
}

async fn concurrent(client: &Client) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200usize {
        let client = client.clone();
        tasks.spawn(async move {
            let content = format!("content {number}").repeat(number + 1).into_bytes();
            let id = client.upload(&content, UploadOptions::ext("txt")).await.unwrap();
            assert_eq!(client.download(&id, Range::default()).await.unwrap(), content);
            client.delete(&id, false).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    println!("ok concurrent");
}

async fn cluster(client: &Client) {
    let groups = client.list_groups().await.unwrap();
    let group = groups.first().map(|group| group.name.clone()).unwrap();
    let storages = client.list_storages(&group, None).await.unwrap();
    assert!(storages.iter().any(|storage| storage.status == StorageStatus::ACTIVE));
    assert!(storages.iter().all(|storage| storage.total_mb > 0), "{storages:?}");
    let trackers = client.list_trackers().await.unwrap();
    assert!(trackers.iter().all(|tracker| tracker.alive), "{trackers:?}");
    client.ping().await.unwrap();
    assert_eq!(client.pick_upload(Some(&group)).await.unwrap().group, group);
    println!("ok cluster");
}

/// A client whose storage is the one that misbehaves under this name.
fn behind(stage: &Stage, fault: &str) -> Client {
    let mut options = ClientOptions::new([stage.var("FDFS_TRACKER")]).unwrap();
    options.address_map.insert(stage.var("FDFS_STORAGE"), stage.var(fault)).unwrap();
    options.group = Some("group1".into());
    options.io_timeout = Duration::from_millis(500);
    options.connect()
}

fn plain(stage: &Stage, tracker: &str) -> Client {
    ClientOptions::new([stage.var(tracker)]).unwrap().connect()
}

async fn address_widths(stage: &Stage) {
    for tracker in ["FDFS_TRACKER_V4", "FDFS_TRACKER_V6"] {
        let client = plain(stage, tracker);
        let id = client.upload(b"wide", UploadOptions::default()).await.unwrap();
        assert_eq!(client.download(&id, Range::default()).await.unwrap(), b"wide");
        let located = client.locate(&id, false).await.unwrap();
        assert_eq!(located.first().map(|server| server.host.as_str()), Some("127.0.0.1"));
        let storages = client.list_storages("group1", None).await.unwrap();
        assert_eq!(
            storages.first().map(|storage| storage.address.clone()),
            located.first().cloned()
        );
    }
    println!("ok address_widths");
}

async fn tracker_down(stage: &Stage) {
    let (dead, live) = (stage.var("FDFS_DEAD"), stage.var("FDFS_TRACKER"));
    for _ in 0..4 {
        let client = ClientOptions::new([dead, live]).unwrap().connect();
        let id = client.upload(b"x", UploadOptions::default()).await.unwrap();
        client.delete(&id, false).await.unwrap();
    }
    let error = plain(stage, "FDFS_DEAD").upload(b"x", UploadOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoServer | ErrorKind::Connect), "{error}");
    println!("ok tracker_down");
}

async fn cut(stage: &Stage) {
    let (client, direct) = (behind(stage, "FDFS_CUT"), plain(stage, "FDFS_TRACKER"));
    let content = bytes(4 << 20);
    let error = client.upload(&content, UploadOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Connect), "{error}");
    assert!(error.outcome_unknown(), "{error}");
    let group = Some("group1".to_owned());
    let options = UploadOptions { group, ..UploadOptions::default() };
    let id = direct.upload(&content, options).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    client.download_file(&id, dir.path().join("part"), Range::default()).await.unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let start = client.download(&id, Range::new(0, 1000)).await.unwrap();
    assert!(Some(&start[..]) == content.get(..1000));
    println!("ok cut");
}

async fn half_reply(stage: &Stage) {
    let error =
        behind(stage, "FDFS_HALF").upload(b"x", UploadOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Connect), "{error}");
    println!("ok half_reply");
}

async fn stall(stage: &Stage) {
    let client = behind(stage, "FDFS_STALL");
    let error = client.upload(b"x", UploadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let hurried = client.with(CallOptions::timeout(Duration::from_millis(100)));
    let error = hurried.upload(b"x", UploadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("100ms"), "{error}");
    let cancel = Cancel::new();
    let call = CallOptions { cancel: Some(cancel.clone()), ..CallOptions::default() };
    let patient = client.with(call);
    let (ended, ()) = tokio::join!(patient.upload(b"x", UploadOptions::default()), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
    });
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
    given_up_midway(stage).await;
    println!("ok stall");
}

/// What is cancelled while a reader or writer is open.
async fn given_up_midway(stage: &Stage) {
    let client = plain(stage, "FDFS_TRACKER");
    let id = client.upload(bytes(8 << 20), UploadOptions::default()).await.unwrap();
    let cancel = Cancel::new();
    let call = CallOptions { cancel: Some(cancel.clone()), ..CallOptions::default() };
    let cancelled = client.with(call);
    let mut reader = cancelled.open(&id, Range::default()).await.unwrap();
    let writer = cancelled.create(UploadOptions::default(), true).await.unwrap();
    cancel.cancel();
    let error = reader.read(&mut [0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let unfinished = writer.id().clone();
    writer.abort().await.unwrap();
    assert!(!client.exists(&unfinished).await.unwrap());
    client.delete(&id, false).await.unwrap();
}

async fn cancel_reuse(stage: &Stage) {
    let client = plain(stage, "FDFS_TRACKER");
    let content = bytes(1 << 20);
    let kept = client.upload(b"kept", UploadOptions::default()).await.unwrap();
    for round in 0..1000u64 {
        let upload = client.upload(&content, UploadOptions::default());
        let given = Duration::from_micros(round * 7 % 1500);
        let _ = tokio::time::timeout(given, upload).await;
        assert_eq!(client.download(&kept, Range::default()).await.unwrap(), b"kept", "{round}");
    }
    println!("ok cancel_reuse");
}
