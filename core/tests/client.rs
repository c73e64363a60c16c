//! The client against servers that misbehave: what is retried, what is not, and which connections
//! are kept.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod fake;

use fake::{Act, ID, dead, fake, id, info, listener, no, ok, options, packet, stored, tracker_for};
use fdfs_core::ErrorKind;
use fdfs_core::client::{Metadata, Range, UploadOptions};
use fdfs_core::protocol::address::AddrWidth;
use fdfs_core::protocol::{Command, Status};
use std::io::SeekFrom;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_dead_tracker_is_passed_over_and_rested() {
    let storage = fake(|_, _, _| ok(info(3))).await;
    let tracker = tracker_for(storage.addr, AddrWidth::V6).await;
    let client = options(&[dead().await, tracker.addr]).connect();
    for _ in 0..6 {
        assert_eq!(client.stat(&id()).await.unwrap().size, 3);
    }
    let none = options(&[dead().await]).connect();
    let error = none.stat(&id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoServer);
    assert!(error.to_string().contains("no tracker answers"), "{error}");
}

#[tokio::test]
async fn a_tracker_without_space_or_storages_is_believed_once_all_say_so() {
    let storage = fake(|_, _, _| ok(stored())).await;
    let knows = tracker_for(storage.addr, AddrWidth::V4).await;
    let full = fake(|_, _, _| no(Status::ENOSPC)).await;
    let unaware = fake(|_, _, _| no(Status::ENOENT)).await;
    let upload = async |trackers: &[SocketAddr]| {
        options(trackers).connect().upload(b"x", UploadOptions::default()).await
    };
    // Each client begins with a tracker drawn by lot.
    for _ in 0..20 {
        upload(&[full.addr, unaware.addr, knows.addr]).await.unwrap();
    }
    assert!(full.requests() > 0 && unaware.requests() > 0);
    for _ in 0..20 {
        let error = upload(&[full.addr, unaware.addr]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        let error = upload(&[unaware.addr]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoServer, "{error}");
    }
}

#[tokio::test]
async fn connections_are_kept_while_they_end_cleanly() {
    let storage = fake(|_, _, _| ok(info(3))).await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    for _ in 0..10 {
        client.stat(&id()).await.unwrap();
    }
    assert_eq!(storage.connections(), 1);
    assert_eq!(tracker.connections(), 1);
    assert_eq!(client.pool_stats().iter().map(|stats| stats.idle).sum::<usize>(), 2);
    client.close();
    assert_eq!(client.stat(&id()).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn unclean_connections_are_never_used_again() {
    for (answer, kind, connections) in [
        (Some(Status::ENOENT), ErrorKind::NotFound, 1),
        (Some(Status::EINVAL), ErrorKind::InvalidArgument, 3),
        (Some(Status::EIO), ErrorKind::Server, 3),
        (Some(Status::ENOSPC), ErrorKind::NoSpace, 3),
        (None, ErrorKind::Protocol, 3),
    ] {
        let storage = fake(move |_, _, _| match answer {
            Some(status) => no(status),
            // A reply with a body where none belongs.
            None => Act::Raw(packet(Status::OK, &[0; 41])),
        })
        .await;
        let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
        let client = options(&[tracker.addr]).connect();
        for _ in 0..3 {
            let error = client.delete(&id(), false).await.unwrap_err();
            let expected = if answer.is_none() { ErrorKind::Protocol } else { kind };
            assert_eq!(error.kind(), expected, "{error}");
            assert_eq!(error.file_id(), Some(ID));
            assert_eq!(error.outcome_unknown(), answer.is_none());
        }
        assert_eq!(storage.connections(), connections, "{answer:?}");
    }
}

#[tokio::test]
async fn reads_survive_a_kept_connection_that_died_and_changes_do_not_repeat() {
    // The second request on each connection meets a closed door.
    let storage = fake(|command, _, number| match (number, command) {
        (0, Command::QUERY_FILE_INFO) => ok(info(3)),
        (0, _) => ok(()),
        _ => Act::Close,
    })
    .await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    for _ in 0..3 {
        assert_eq!(client.stat(&id()).await.unwrap().size, 3);
    }
    assert_eq!(storage.connections(), 3);
    client.stat(&id()).await.unwrap();
    let requests = storage.requests();
    let error = client.append(&id(), b"x").await.unwrap_err();
    assert!(error.outcome_unknown() && !error.retryable(), "{error}");
    assert_eq!(storage.requests(), requests + 1, "sent once");
}

#[tokio::test]
async fn the_clocks_are_named() {
    let storage = fake(|_, _, _| Act::Hang).await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let mut slow = options(&[tracker.addr]);
    slow.io_timeout = Duration::from_millis(100);
    let error = slow.clone().connect().stat(&id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("io_timeout"), "{error}");
    slow.io_timeout = Duration::from_secs(5);
    slow.timeout = Some(Duration::from_millis(100));
    let error = slow.clone().connect().upload(b"x", UploadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("timeout of 100ms"), "{error}");
    assert!(error.outcome_unknown());
    slow.timeout = None;
    slow.pool_size = 1;
    slow.pool_wait = Duration::from_millis(100);
    let client = slow.connect();
    let hanging = client.clone();
    let hung = tokio::spawn(async move { hanging.stat(&id()).await });
    storage.asked(3).await;
    let error = client.stat(&id()).await.unwrap_err();
    assert!(error.to_string().contains("pool wait"), "{error}");
    hung.abort();
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_is_heard() {
    // Answers after the first bytes and never reads the rest.
    let (listener, addr) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut first = [0; 25];
                stream.read_exact(&mut first).await.unwrap();
                stream.write_all(&packet(Status::ENOSPC, b"")).await.unwrap();
                std::future::pending::<()>().await;
            });
        }
    });
    let tracker = tracker_for(addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    let error = client.upload(vec![0; 64 << 20], UploadOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::NoSpace, Some(Status::ENOSPC)));
    assert!(!error.outcome_unknown());
}

#[tokio::test]
async fn ranges_mean_the_same_whatever_the_server_does() {
    // A server of before 6.15.4: it refuses ranges that reach beyond the end.
    let content = b"0123456789";
    let storage = fake(move |command, body, _| {
        if command == Command::QUERY_FILE_INFO {
            return ok(info(10));
        }
        let number = |at: usize| i64::from_be_bytes(body[at..at + 8].try_into().unwrap()) as usize;
        let (offset, len) = (number(0), number(8));
        if offset >= 10 || offset + len > 10 {
            return no(Status::EINVAL);
        }
        let end = if len == 0 { 10 } else { offset + len };
        Act::Reply(Status::OK, content[offset..end].to_vec())
    })
    .await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    for (range, expected) in [
        (Range::default(), &b"0123456789"[..]),
        (Range::new(3, 4), b"3456"),
        (Range::new(8, 100), b"89"),
        (Range::from(-3), b"789"),
        (Range::new(-3, 1), b"7"),
        (Range::from(-100), b"0123456789"),
        (Range::from(10), b""),
        (Range::new(4, 0), b""),
    ] {
        assert_eq!(client.download(&id(), range).await.unwrap(), expected, "{range:?}");
    }
    let beyond = client.download(&id(), Range::from(11)).await.unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::InvalidArgument);
    let mut reader = client.open(&id(), Range::new(2, 5)).await.unwrap();
    let mut piece = [0; 3];
    let read = reader.read(&mut piece).await.unwrap();
    assert_eq!(&piece[..read], &b"234"[..read]);
    assert_eq!(reader.seek(SeekFrom::End(-2)).unwrap(), 3);
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).await.unwrap();
    assert_eq!(tail, b"56");
    assert_eq!((reader.position(), reader.len()), (5, 5));
}

#[tokio::test]
async fn an_empty_file_comes_back_empty_although_servers_refuse_it() {
    let storage = fake(|command, _, _| match command {
        Command::QUERY_FILE_INFO => ok(info(0)),
        _ => no(Status::EINVAL),
    })
    .await;
    let tracker = tracker_for(storage.addr, AddrWidth::V6).await;
    let client = options(&[tracker.addr]).connect();
    assert_eq!(client.download(&id(), Range::default()).await.unwrap(), b"");
}

#[tokio::test]
async fn what_servers_would_cut_or_confuse_is_refused_here() {
    let storage = fake(|_, _, _| ok(stored())).await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    let with = |name: &str, value: &str| Metadata::from([(name.into(), value.into())]);
    for options in [
        UploadOptions::ext("toolong7"),
        UploadOptions::ext("a/b"),
        UploadOptions { metadata: with("", "v"), ..Default::default() },
        UploadOptions { metadata: with("a\u{1}b", "v"), ..Default::default() },
        UploadOptions { metadata: with(&"n".repeat(65), "v"), ..Default::default() },
        UploadOptions { metadata: with("n", &"v".repeat(257)), ..Default::default() },
        UploadOptions { group: Some("g".repeat(17)), ..Default::default() },
    ] {
        let error = client.upload(b"x", options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    assert_eq!(storage.requests(), 0, "nothing was sent");
    let short: &[u8] = b"12";
    let error = client.upload_reader(short, Some(3), UploadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    let error = client.upload_reader(short, Some(1), UploadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("longer than 1"), "{error}");
    assert_eq!(client.upload_reader(short, None, UploadOptions::default()).await.unwrap(), id());
}

#[tokio::test]
async fn a_stored_file_is_named_when_its_metadata_fails() {
    let storage = fake(|command, _, _| match command {
        Command::UPLOAD_FILE => ok(stored()),
        _ => no(Status::EIO),
    })
    .await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    let metadata = Metadata::from([("a".into(), "b".into())]);
    let options = UploadOptions { metadata, ..Default::default() };
    let error = client.upload(b"x", options).await.unwrap_err();
    assert_eq!((error.kind(), error.file_id()), (ErrorKind::Server, Some(ID)));
}

#[tokio::test]
async fn a_thousand_cancelled_calls_cross_no_answers() {
    // Each file's content is its own offset, told slowly enough to be cancelled anywhere.
    let storage = fake(|command, body, _| match command {
        Command::DOWNLOAD_FILE => {
            std::thread::sleep(Duration::from_micros(50));
            Act::Reply(Status::OK, body[..8].to_vec())
        }
        _ => ok(info(8)),
    })
    .await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let client = options(&[tracker.addr]).connect();
    for round in 0..1000i64 {
        let range = Range::new(round, 8);
        let patience = Duration::from_micros((round as u64 * 7) % 900);
        let cancelled = tokio::time::timeout(patience, client.download(&id(), range)).await;
        if let Ok(Ok(content)) = cancelled {
            assert_eq!(content, round.to_be_bytes());
        }
        let other = Range::new(round + 1_000_000, 8);
        let content = client.download(&id(), other).await.unwrap();
        assert_eq!(content, (round + 1_000_000).to_be_bytes());
    }
}

#[tokio::test]
async fn advertised_addresses_can_be_mapped() {
    let storage = fake(|_, _, _| ok(info(3))).await;
    let elsewhere = "10.255.0.9:23000".parse().unwrap();
    let tracker = tracker_for(elsewhere, AddrWidth::V4).await;
    for (from, to) in
        [("10.255.0.9:23000", storage.addr.to_string()), ("10.255.0.9", storage.addr.to_string())]
    {
        let mut options = options(&[tracker.addr]);
        options.address_map.insert(from, &to).unwrap();
        assert_eq!(options.connect().stat(&id()).await.unwrap().size, 3);
    }
}
