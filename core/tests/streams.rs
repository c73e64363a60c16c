//! Content in bounded memory, and what sources and sinks may do wrong.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    missing_docs
)]

mod fake;

use fake::{Act, ID, fake, id, info, listener, no, ok, options, packet, stored, tracker_for};
use fdfs_core::ErrorKind;
use fdfs_core::client::{CallOptions, Client, Metadata, Range, UploadOptions, blocking};
use fdfs_core::protocol::address::AddrWidth;
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// More than all buffers on the way hold together.
const LEN: u64 = 96 << 20;
/// What sockets and one chunk may hold.
const AHEAD_MAX: u64 = 24 << 20;

async fn client_of(storage: SocketAddr) -> Client {
    let tracker = tracker_for(storage, AddrWidth::V4).await;
    options(&[tracker.addr]).connect()
}

/// Gives zeros and counts them.
struct Counting(Arc<AtomicU64>);

impl AsyncRead for Counting {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let left = LEN - self.0.load(Ordering::SeqCst);
        let len = buffer.remaining().min(usize::try_from(left).unwrap());
        buffer.initialize_unfilled_to(len);
        buffer.advance(len);
        self.0.fetch_add(len as u64, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_upload_reads_its_source_no_faster_than_the_server_takes_it() {
    let (given, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (listener, addr) = listener().await;
    let (ahead, seen) = (given.clone(), taken.clone());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 25]).await.unwrap();
        let mut buffer = vec![0; 1 << 20];
        while seen.load(Ordering::SeqCst) < LEN {
            let read = stream.read(&mut buffer).await.unwrap() as u64;
            let seen = seen.fetch_add(read, Ordering::SeqCst) + read;
            let ahead = ahead.load(Ordering::SeqCst) - seen;
            assert!(ahead < AHEAD_MAX, "{ahead} bytes on the way");
        }
        stream.write_all(&packet(Status::OK, &stored().encode())).await.unwrap();
    });
    let progress = Arc::new(AtomicU64::new(0));
    let told = progress.clone();
    let call = CallOptions {
        progress: Some(Arc::new(move |len| told.store(len, Ordering::SeqCst))),
        ..CallOptions::default()
    };
    let client = client_of(addr).await.with(call);
    let source = Counting(given.clone());
    client.upload_reader(source, Some(LEN), UploadOptions::default()).await.unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), LEN);
    assert_eq!(progress.load(Ordering::SeqCst), LEN);
}

/// Takes bytes slowly and counts them.
struct Slow(Arc<AtomicU64>);

impl AsyncWrite for Slow {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        assert!(bytes.len() <= 256 * 1024);
        self.0.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_download_takes_no_more_than_its_sink() {
    let (sent, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (listener, addr) = listener().await;
    let (gone, seen) = (sent.clone(), taken.clone());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 10 + 32 + ID.len() - "group1/".len()];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&Header::reply(Status::OK, LEN).encode()).await.unwrap();
        while gone.load(Ordering::SeqCst) < LEN {
            stream.write_all(&[0; 1 << 16]).await.unwrap();
            let gone = gone.fetch_add(1 << 16, Ordering::SeqCst);
            let ahead = gone.saturating_sub(seen.load(Ordering::SeqCst));
            assert!(ahead < AHEAD_MAX, "{ahead} bytes on the way");
        }
        stream
    });
    let client = client_of(addr).await;
    let mut sink = Slow(taken.clone());
    assert_eq!(client.download_to(&id(), &mut sink, Range::default()).await.unwrap(), LEN);
    assert_eq!(taken.load(Ordering::SeqCst), LEN);
}

#[tokio::test]
async fn a_source_of_the_wrong_length_never_completes_a_request() {
    let whole = Arc::new(AtomicUsize::new(0));
    let counted = whole.clone();
    // Counts requests whose content came to its end.
    let storage = fake(move |_, _, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        ok(stored())
    })
    .await;
    let client = client_of(storage.addr).await;
    let content = vec![7; 600_000];
    for size in [0, 1, 262_143, 262_144, 262_145, 524_288, 599_999, 600_001, 700_000] {
        let sent = client.upload_reader(&content[..], Some(size), UploadOptions::default()).await;
        let error = sent.unwrap_err();
        // A file that stops early is never stored.
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::LocalIo, false), "{size}");
    }
    for is_modify in [false, true] {
        let (id, source, size) = (id(), &content[..], Some(700_000));
        let error = match is_modify {
            true => client.modify_reader(&id, 0, source, size).await,
            false => client.append_reader(&id, source, size).await,
        };
        let error = error.unwrap_err();
        // What is overwritten is not restored.
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::LocalIo, is_modify));
    }
    assert_eq!(whole.load(Ordering::SeqCst), 0);
    for len in [0, 1, 262_143, 262_144, 262_145, 524_288, 524_289, 600_000] {
        let piece = &content[..len];
        let sized = Some(len as u64);
        client.upload_reader(piece, sized, UploadOptions::default()).await.unwrap();
        client.upload_reader(piece, None, UploadOptions::default()).await.unwrap();
    }
    assert_eq!(whole.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn a_file_appears_only_when_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let half = packet(Status::OK, b"half of it");
    let storage = fake(move |_, _, _| Act::Last(half[..15].to_vec())).await;
    let client = client_of(storage.addr).await;
    let error = client.download_file(&id(), &path, Range::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.file_id()), (ErrorKind::Protocol, Some(ID)));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    let storage = fake(|_, _, _| Act::Reply(Status::OK, b"content".to_vec())).await;
    let client = client_of(storage.addr).await;
    for _ in 0..2 {
        client.download_file(&id(), &path, Range::default()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
    }
    let nowhere = dir.path().join("no").join("dir");
    let error = client.download_file(&id(), &nowhere, Range::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    // A device is written to, not replaced.
    client.download_file(&id(), "/dev/null", Range::default()).await.unwrap();
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

/// An appender file in memory, and the metadata set last.
async fn appender(finalizes: bool) -> (fake::Fake, Arc<Mutex<(Vec<u8>, Vec<Command>)>>) {
    let state = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let shared = state.clone();
    let storage = fake(move |command, body, _| {
        let mut state = shared.lock().unwrap();
        state.1.push(command);
        match command {
            Command::APPEND_FILE => {
                let name_len = u64::from_be_bytes(body[..8].try_into().unwrap()) as usize;
                state.0.extend_from_slice(&body[16 + name_len..]);
                ok(())
            }
            Command::REGENERATE_APPENDER_FILENAME if !finalizes => no(Status::EINVAL),
            Command::UPLOAD_APPENDER_FILE => {
                let name = "M00/00/00/wKhY2ld2ImmEUmAFAAAAAAAAAAA404.txt";
                ok(fdfs_core::protocol::storage::StoredAs {
                    group: "group1".try_into().unwrap(),
                    name: name.try_into().unwrap(),
                })
            }
            Command::REGENERATE_APPENDER_FILENAME => ok(stored()),
            _ => ok(()),
        }
    })
    .await;
    (storage, state)
}

#[tokio::test]
async fn a_writer_collects_pieces_and_sets_metadata_under_the_final_name() {
    let (storage, state) = appender(true).await;
    let client = client_of(storage.addr).await;
    let metadata = Metadata::from([("a".into(), "b".into())]);
    let options = UploadOptions { metadata, ..UploadOptions::ext("txt") };
    let mut writer = client.create(options, true).await.unwrap();
    let content: Vec<u8> = (0..700_000u32).map(|at| (at % 251) as u8).collect();
    for piece in content.chunks(9_999) {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), id());
    let state = state.lock().unwrap();
    assert!(state.0 == content);
    let appends = [Command::APPEND_FILE; 3];
    let rest = [Command::REGENERATE_APPENDER_FILENAME, Command::SET_METADATA];
    assert_eq!(state.1, [&[Command::UPLOAD_APPENDER_FILE][..], &appends, &rest].concat());
}

#[tokio::test]
async fn servers_that_cannot_finalize_are_told_apart_from_wrong_requests() {
    let (storage, _) = appender(false).await;
    let client = client_of(storage.addr).await;
    let writer = client.create(UploadOptions::default(), true).await.unwrap();
    assert_eq!(writer.id().kind(), fdfs_core::file_id::Kind::Appender);
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(client.finalize(&id()).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_blocking_client_streams_both_ways() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let content: Vec<u8> = (0..600_000u32).map(|at| (at % 251) as u8).collect();
    let served = content.clone();
    let tracker = runtime.block_on(async move {
        let storage = fake(move |command, body, _| match command {
            Command::DOWNLOAD_FILE => {
                let number =
                    |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap()) as usize;
                let (start, len) = (number(0), number(8));
                let end = if len == 0 { served.len() } else { start + len };
                Act::Reply(Status::OK, served[start..end].to_vec())
            }
            Command::UPLOAD_FILE => {
                assert!(body[15..] == served);
                ok(stored())
            }
            _ => ok(info(600_000)),
        })
        .await;
        tracker_for(storage.addr, AddrWidth::V6).await
    });
    let client = blocking::Client::new(options(&[tracker.addr]));
    client.upload_reader(&content[..], None, UploadOptions::default()).unwrap();
    let mut sink = Vec::new();
    client.download_to(&id(), &mut sink, Range::default()).unwrap();
    assert!(sink == content);
    let mut reader = client.open(&id(), Range::from(100)).unwrap();
    let mut piece = [0; 1000];
    for from in [599_800, 0, 300_000] {
        assert_eq!(reader.seek(SeekFrom::Start(from as u64)).unwrap(), from as u64);
        let part = &content[100 + from..];
        let len = part.len().min(1000);
        reader.read_exact(&mut piece[..len]).unwrap();
        assert!(piece[..len] == part[..len]);
    }
    assert!(reader.seek(SeekFrom::Current(-1_000_000)).is_err());
    let mut past = Vec::new();
    reader.seek(SeekFrom::Start(10_000_000)).unwrap();
    assert_eq!(reader.read_to_end(&mut past).unwrap(), 0);
    std::io::sink().flush().unwrap();
    client.close();
    assert_eq!(client.ping().unwrap_err().kind(), ErrorKind::Closed);
    tokio::runtime::Runtime::shutdown_timeout(runtime, Duration::from_secs(1));
}
