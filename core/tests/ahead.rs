//! Requests that follow each other without waiting for answers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod fake;

use fake::{listener, packet};
use fdfs_core::ErrorKind;
use fdfs_core::net::{AHEAD_MAX, Ahead, Conn, ConnectOptions};
use fdfs_core::protocol::{Command, Status};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Bytes of a request's head and of its content.
const LENS: (usize, usize) = (5, 3);

/// Sends `count` requests to a server that answers `answers` in pieces of `piece` bytes, once all
/// requests are there, and closes. What came of it, and whether the connection may be used again.
async fn run(count: usize, answers: &[u8], piece: usize) -> (Vec<Status>, Option<ErrorKind>, bool) {
    let (listener, addr) = listener().await;
    let answers = answers.to_vec();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut requests = vec![0; count * (10 + LENS.0 + LENS.1)];
        stream.read_exact(&mut requests).await.unwrap();
        for piece in answers.chunks(piece) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        requests
    });
    let second = Duration::from_secs(10);
    let options = ConnectOptions { connect_timeout: second, io_timeout: second, bind: None };
    let mut conn = Conn::connect("127.0.0.1", addr.port(), &options).await.unwrap();
    let mut ahead = Ahead::default();
    for _ in 0..count {
        ahead.push(Command::SYNC_CREATE_FILE, 0, &[1; LENS.0], &[2; LENS.1]);
    }
    assert_eq!((ahead.len(), ahead.bytes()), (count, count * (10 + LENS.0 + LENS.1)));
    let mut statuses = Vec::new();
    let ended = conn.call_ahead(ahead, &mut statuses).await;
    let requests = server.await.unwrap();
    let one = [&8_u64.to_be_bytes()[..], &[16, 0], &[1; LENS.0], &[2; LENS.1]].concat();
    assert_eq!(requests, one.repeat(count));
    (statuses, ended.err().map(|error| error.kind()), conn.is_clean())
}

#[tokio::test]
async fn each_request_gets_the_answer_in_its_place() {
    let expected: Vec<Status> =
        (0..AHEAD_MAX).map(|at| [Status::OK, Status::EEXIST, Status::ENOSPC][at % 3]).collect();
    let answers: Vec<u8> = expected.iter().flat_map(|status| packet(*status, &[])).collect();
    for piece in [1, 7, 10, 64, answers.len()] {
        let (statuses, error, is_clean) = run(AHEAD_MAX, &answers, piece).await;
        assert_eq!((statuses, error, is_clean), (expected.clone(), None, true), "{piece}");
    }
    assert_eq!(run(0, &[], 1).await, (Vec::new(), None, true));
}

#[tokio::test]
async fn what_has_no_answer_is_told_by_an_error() {
    let ok = packet(Status::OK, &[]);
    for (answers, answered) in [
        (ok.repeat(2), 2),
        ([&ok[..], &ok[..9]].concat(), 1),
        ([&ok[..], &packet(Status::OK, b"what")].concat(), 1),
        ([&ok[..], &[0; 10]].concat(), 1),
        ([&packet(Status::EINVAL, &[])[..]].concat(), 1),
    ] {
        let (statuses, error, is_clean) = run(3, &answers, 64).await;
        assert_eq!(statuses.len(), answered, "{answers:?}");
        assert_eq!((error, is_clean), (Some(ErrorKind::Protocol), false), "{answers:?}");
    }
}

/// Of a short content nothing is left to be sent after the request, of a long one something.
#[tokio::test]
async fn content_goes_along_with_its_request() {
    for (len, is_whole) in [(0, true), (4096, true), (64 << 20, false)] {
        let (listener, addr) = listener().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 10 + LENS.0 + len];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(&packet(Status::OK, &[])).await.unwrap();
            request
        });
        let second = Duration::from_secs(10);
        let options = ConnectOptions { connect_timeout: second, io_timeout: second, bind: None };
        let mut conn = Conn::connect("127.0.0.1", addr.port(), &options).await.unwrap();
        let content = vec![2; len];
        let command = Command::UPLOAD_FILE;
        let sent = conn.start_with(command, 0, &[1; LENS.0], len as u64, &content).await.unwrap();
        assert_eq!(sent == len, is_whole, "{sent} of {len}");
        assert!(conn.send_content(&content[sent..]).await.unwrap());
        conn.read_reply::<()>().await.unwrap();
        let request = server.await.unwrap();
        assert_eq!(request[10..], [vec![1; LENS.0], content].concat());
    }
}
