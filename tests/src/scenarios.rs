//! What every client must be able to do at every server, ours or the original.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a scenario that fails panics")]

use fdfs_core::ErrorKind;
use fdfs_core::client::{Client, Metadata, Range, UploadOptions};
use fdfs_core::file_id::Kind;
use fdfs_core::protocol::StorageStatus;

/// Bytes that repeat late enough to betray any misplaced piece.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at ^ (at >> 9) ^ (at >> 17)) & 0xff).unwrap_or(0)).collect()
}

/// Runs all scenarios; prints a line for each.
pub async fn all(client: &Client) {
    round_trips(client).await;
    ranges(client).await;
    appender(client).await;
    slave(client).await;
    metadata(client).await;
    errors(client).await;
    streams(client).await;
    concurrent(client).await;
    cluster(client).await;
}

async fn round_trips(client: &Client) {
    for len in [0, 1, 262_143, 262_144, 262_145, 20_000_000] {
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

async fn streams(client: &Client) {
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
    println!("ok streams");
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
