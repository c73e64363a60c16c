//! Which connections are kept, which are not, and what may end a call.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod fake;

use fake::{Act, ID, fake, hasty, id, info, no, ok, options, packet, stored, tracker_for};
use fdfs_core::client::{CallOptions, Cancel, Client, Range, UploadOptions};
use fdfs_core::protocol::address::AddrWidth;
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire;
use fdfs_core::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

async fn client_of(storage: SocketAddr) -> Client {
    let tracker = tracker_for(storage, AddrWidth::V4).await;
    options(&[tracker.addr]).connect()
}

/// Connections to this server closed because a call did not end cleanly, and connections kept.
fn kept(client: &Client, server: SocketAddr) -> (u64, usize) {
    let stats = client.pool_stats().into_iter().find(|stats| stats.server == server.to_string());
    stats.map_or((0, 0), |stats| (stats.closed_by_error, stats.idle))
}

#[tokio::test]
async fn half_a_reply_is_an_error_and_ends_the_connection() {
    let whole = packet(Status::OK, &info(3).encode());
    for len in [1, 9, 10, 11, whole.len() - 1] {
        let part = whole[..len].to_vec();
        let storage = fake(move |_, _, _| Act::Last(part.clone())).await;
        let client = client_of(storage.addr).await;
        for round in 1..=2 {
            let error = client.stat(&id()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{len}: {error}");
            assert_eq!(error.peer(), Some(storage.addr.to_string().as_str()));
            assert_eq!(error.command(), Some(Command::QUERY_FILE_INFO));
            assert!(!error.outcome_unknown());
            assert_eq!(kept(&client, storage.addr), (round, 0));
        }
        assert_eq!(storage.requests(), 2, "a fresh connection is no reason to ask again");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys() {
    let twice = [3, 4].map(|size| packet(Status::OK, &info(size).encode())).concat();
    let storage = fake(move |_, _, _| Act::Raw(twice.clone())).await;
    let client = client_of(storage.addr).await;
    for round in 1..=3 {
        assert_eq!(client.stat(&id()).await.unwrap().size, 3);
        assert_eq!(storage.connections(), round);
    }
}

#[tokio::test]
async fn a_short_content_lies_with_its_connection_and_a_long_one_does_not() {
    let contents: Vec<Vec<u8>> = [0, 1, 4096, 8182, 8183, 300_000].map(|len| vec![7; len]).into();
    for content in contents {
        let (sent, behind) = (packet(Status::OK, &content), content.len() == 1);
        let storage = fake(move |_, _, number| match behind && number > 0 {
            true => Act::Raw([&sent[..], b"more"].concat()),
            false => Act::Raw(sent.clone()),
        })
        .await;
        let client = client_of(storage.addr).await;
        let held = client.download_held(&id(), Range::default()).await.unwrap();
        assert_eq!(*held, content);
        // It came with the header if it fits what is read at once: 8 KB.
        let is_lent = (1..=8182).contains(&content.len());
        assert_eq!(kept(&client, storage.addr), (0, usize::from(!is_lent)), "{}", content.len());
        drop(held);
        assert_eq!(kept(&client, storage.addr), (0, 1));
        assert_eq!(client.download(&id(), Range::default()).await.unwrap(), content);
        assert_eq!(storage.connections(), 1);
        // What came behind the content is nobody's.
        let expected = if behind { (1, 0) } else { (0, 1) };
        assert_eq!(kept(&client, storage.addr), expected);
    }
}

#[tokio::test]
async fn a_cancelled_call_takes_its_connection_along() {
    let storage = fake(|_, _, number| if number == 0 { ok(info(3)) } else { Act::Hang }).await;
    let client = client_of(storage.addr).await;
    client.stat(&id()).await.unwrap();
    for round in 1..=3 {
        let hanging = client.clone();
        let task = tokio::spawn(async move { hanging.stat(&id()).await });
        storage.asked(2 * round).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(kept(&client, storage.addr), (round as u64, 0));
        assert_eq!(client.stat(&id()).await.unwrap().size, 3);
        assert_eq!(storage.connections(), round + 1);
    }
}

#[tokio::test]
async fn a_reader_that_stops_early_takes_its_connection_along() {
    let storage = fake(|_, _, _| Act::Reply(Status::OK, vec![7; 3_000_000])).await;
    let client = client_of(storage.addr).await;
    let mut reader = client.open(&id(), Range::default()).await.unwrap();
    assert!(reader.read(&mut [0; 100]).await.unwrap() > 0);
    drop(reader);
    assert_eq!(kept(&client, storage.addr), (1, 0));
    assert_eq!(client.download(&id(), Range::default()).await.unwrap().len(), 3_000_000);
    assert_eq!(kept(&client, storage.addr), (1, 1));
    assert_eq!(storage.connections(), 2);
}

#[tokio::test]
async fn each_read_of_a_reader_has_the_time_of_a_call() {
    let header = Header::reply(Status::OK, 10).encode();
    let begun = [&header[..], b"abc"].concat();
    let storage = fake(move |_, _, _| Act::Raw(begun.clone())).await;
    let client = client_of(storage.addr).await;
    let short = client.with(CallOptions::timeout(Duration::from_millis(80)));
    let mut reader = short.open(&id(), Range::default()).await.unwrap();
    let mut buffer = [0; 10];
    assert_eq!(reader.read(&mut buffer[..2]).await.unwrap(), 2);
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 1);
    let error = reader.read(&mut buffer).await.unwrap_err();
    assert_eq!((error.kind(), error.file_id()), (ErrorKind::Timeout, Some(id().as_str())));
    assert!(error.to_string().contains("timeout of 80ms passed while reading"), "{error}");
    let after = reader.read(&mut buffer).await.unwrap_err();
    assert_eq!(after.kind(), ErrorKind::Closed, "the file must be opened again: {after}");
    assert_eq!(kept(&client, storage.addr), (1, 0));
}

#[tokio::test]
async fn after_any_refusal_of_content_the_connection_is_closed() {
    // "Not found" answered to the head of a slave upload leaves its content on the connection.
    let storage = fake(|command, _, _| match command {
        Command::UPLOAD_SLAVE_FILE => no(Status::ENOENT),
        _ => ok(info(3)),
    })
    .await;
    let client = client_of(storage.addr).await;
    let slave = client.upload_slave(&id(), "_b", b"content", UploadOptions::ext("xml")).await;
    let error = slave.unwrap_err();
    assert_eq!((error.kind(), error.file_id()), (ErrorKind::NotFound, Some(ID)));
    assert_eq!(kept(&client, storage.addr), (1, 0));
}

#[tokio::test]
async fn success_before_the_content_was_sent_is_not_believed() {
    let client = client_of(hasty().await).await;
    let error = client.upload(vec![0; 64 << 20], UploadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.outcome_unknown() && error.to_string().contains("before the request"), "{error}");
}

#[tokio::test]
async fn a_server_that_restarted_is_noticed_before_anything_is_sent() {
    // Each connection serves one request and is closed then, as by a server that stops.
    let storage = fake(|command, _, _| {
        Act::Last(match command {
            Command::UPLOAD_FILE => packet(Status::OK, &stored().encode()),
            _ => packet(Status::OK, b""),
        })
    })
    .await;
    let client = client_of(storage.addr).await;
    for _ in 0..5 {
        client.upload(b"x", UploadOptions::default()).await.unwrap();
        client.append(&id(), b"x").await.unwrap();
        // The end of the stream takes a moment to arrive.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(storage.requests(), 10);
}

#[tokio::test]
async fn what_comes_unasked_ends_a_kept_connection() {
    let twice = [packet(Status::OK, &info(3).encode()), packet(Status::OK, &info(4).encode())];
    let twice = twice.concat();
    let storage = fake(move |_, _, _| Act::Raw(twice.clone())).await;
    let client = client_of(storage.addr).await;
    for _ in 0..3 {
        assert_eq!(client.stat(&id()).await.unwrap().size, 3, "not the answer left over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(storage.connections(), 3);
}

#[tokio::test]
async fn connections_unused_for_a_while_are_tested_and_then_closed() {
    let tests = Arc::new(AtomicUsize::new(0));
    let counted = tests.clone();
    let storage = fake(move |command, _, _| match command {
        Command::ACTIVE_TEST => {
            counted.fetch_add(1, Ordering::SeqCst);
            ok(())
        }
        _ => ok(info(3)),
    })
    .await;
    let client = client_of(storage.addr).await;
    for (secs, tested, connections) in [(0, 0, 1), (4, 0, 1), (6, 1, 1), (1, 1, 1), (26, 1, 2)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(secs)).await;
        tokio::time::resume();
        client.stat(&id()).await.unwrap();
        let seen = (tests.load(Ordering::SeqCst), storage.connections());
        assert_eq!(seen, (tested, connections), "after {secs} s");
    }
}

#[tokio::test]
async fn closing_ends_those_who_wait_and_keeps_nothing() {
    let storage = fake(|_, _, _| Act::Hang).await;
    let tracker = tracker_for(storage.addr, AddrWidth::V4).await;
    let mut options = options(&[tracker.addr]);
    options.pool_size = 1;
    let client = options.connect();
    let stat = |client: Client| tokio::spawn(async move { client.stat(&id()).await });
    let lending = stat(client.clone());
    storage.asked(1).await;
    let waiting = stat(client.clone());
    let server = storage.addr.to_string();
    while !client.pool_stats().iter().any(|stats| stats.server == server && stats.waiting == 1) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    client.close();
    client.close();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    lending.abort();
    let _ = lending.await;
    for error in [
        client.ping().await.unwrap_err(),
        client.download(&id(), Range::new(0, 0)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    assert!(client.pool_stats().iter().all(|stats| stats.open == 0), "{:?}", client.pool_stats());
}

#[tokio::test]
async fn calls_can_be_ended_from_elsewhere() {
    let storage = fake(|_, _, _| Act::Hang).await;
    let client = client_of(storage.addr).await;
    let ended = async |upload: bool| -> Error {
        let asked = storage.requests();
        let cancel = Cancel::new();
        let call = CallOptions { cancel: Some(cancel.clone()), ..CallOptions::default() };
        let client = client.with(call);
        let task = tokio::spawn(async move {
            match upload {
                true => client.upload(b"x", UploadOptions::default()).await.map(|_| ()),
                false => client.stat(&id()).await.map(|_| ()),
            }
        });
        storage.asked(asked + 1).await;
        cancel.cancel();
        task.await.unwrap().unwrap_err()
    };
    let error = ended(true).await;
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Cancelled, true));
    assert_eq!(error.peer(), Some(storage.addr.to_string().as_str()));
    let error = ended(false).await;
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Cancelled, false));
}

#[tokio::test]
async fn the_time_of_a_call_covers_all_of_it_and_the_error_says_where_it_went() {
    let storage = fake(|_, _, _| Act::Hang).await;
    let client = client_of(storage.addr).await;
    let short = client.with(CallOptions::timeout(Duration::from_millis(80)));
    let error = short.stat(&id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.command(), Some(Command::QUERY_FILE_INFO));
    assert!(error.to_string().contains("timeout of 80ms"), "{error}");
    // A source that gives nothing is no reason to wait for ever.
    let (silent, _open) = tokio::io::duplex(10);
    let error = short.upload_reader(silent, Some(5), UploadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("reading the source"), "{error}");
    let tracker = fake(|_, _, _| Act::Hang).await;
    let lost = options(&[tracker.addr]).connect();
    let short = lost.with(CallOptions::timeout(Duration::from_millis(80)));
    let error = short.ping().await.unwrap_err();
    assert_eq!((error.kind(), tracker.requests()), (ErrorKind::Timeout, 1), "{error}");
}

#[tokio::test]
async fn a_storage_with_two_addresses_is_tried_at_both_and_the_last_good_one_first() {
    let storage = fake(|_, _, _| ok(info(3))).await;
    let advertised: SocketAddr = format!("127.0.0.77:{}", storage.addr.port()).parse().unwrap();
    for last_first in [false, true] {
        let tracker = tracker_for(advertised, AddrWidth::V6).await;
        let mut options = options(&[tracker.addr]);
        options.other_addresses.insert("127.0.0.77".into(), "127.0.0.1".into());
        options.last_address_first = last_first;
        let client = options.connect();
        for _ in 0..3 {
            assert_eq!(client.stat(&id()).await.unwrap().size, 3);
        }
        assert_eq!(tracker.requests(), 3, "nobody had to be asked again");
        assert_eq!(kept(&client, storage.addr), (0, 1));
    }
}

#[tokio::test]
async fn the_other_addresses_can_be_learnt_from_a_tracker() {
    let storage = fake(|_, _, _| ok(info(3))).await;
    let port = storage.addr.port();
    let server = fake::server_at(format!("10.255.0.9:{port}").parse().unwrap());
    let tracker = fake(move |command, body, _| match command {
        Command::FETCH_STORAGE_IDS => {
            // One line at a time, to be asked for more.
            let lines = [
                "100001 group1 127.0.0.88:1\n".into(),
                format!("100002 group1 10.255.0.9,127.0.0.1:{port}\n"),
            ];
            let line: &String = &lines[usize::from(body[3])];
            let lines = fdfs_core::wire::Rest(line.clone().into_bytes());
            ok(fdfs_core::protocol::tracker::StorageIdLines { total: 2, count: 1, lines })
        }
        _ => {
            let group = "group1".try_into().unwrap();
            let servers = vec![server];
            ok(fdfs_core::protocol::tracker::FetchTargets { width: AddrWidth::V6, group, servers })
        }
    })
    .await;
    let mut options = options(&[tracker.addr]);
    options.addresses_from_tracker = true;
    options.last_address_first = true;
    // Whether the other host refuses or keeps silent depends on the network.
    options.connect_timeout = Duration::from_millis(200);
    let client = options.connect();
    for _ in 0..3 {
        assert_eq!(client.stat(&id()).await.unwrap().size, 3);
    }
    assert_eq!(tracker.requests(), 3 + 2, "the table is asked for once");
}

#[tokio::test]
async fn a_storage_that_cannot_be_reached_is_passed_over_when_others_have_the_file() {
    let storage = fake(|_, _, _| ok(info(3))).await;
    let (dead, alive) = (fake::server_at(fake::dead().await), fake::server_at(storage.addr));
    let tracker = fake(move |command, _, _| {
        let servers = match command {
            Command::QUERY_FETCH_ALL => vec![dead, alive],
            _ => vec![dead],
        };
        let group = "group1".try_into().unwrap();
        ok(fdfs_core::protocol::tracker::FetchTargets { width: AddrWidth::V4, group, servers })
    })
    .await;
    let client = options(&[tracker.addr]).connect();
    assert_eq!(client.stat(&id()).await.unwrap().size, 3);
    assert_eq!(tracker.requests(), 2);
    let error = client.delete(&id(), false).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Connect, false));
    assert_eq!(error.file_id(), Some(ID));
    assert!(error.retryable());
}

#[tokio::test]
async fn a_tracker_without_storage_says_no_server_and_who_it_is() {
    let tracker = fake(|_, _, _| no(Status::ENOENT)).await;
    let client = options(&[tracker.addr]).connect();
    for error in [
        client.upload(b"x", UploadOptions::default()).await.unwrap_err(),
        client.exists(&id()).await.unwrap_err(),
        client.delete(&id(), true).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.status()), (ErrorKind::NoServer, Some(Status::ENOENT)));
        assert_eq!(error.peer(), Some(tracker.addr.to_string().as_str()));
    }
    assert_eq!(tracker.requests(), 3, "an answer is an answer");
}
