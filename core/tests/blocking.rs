//! Calls that wait on the caller's own thread.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs)]

mod fake;

use fake::{Act, Fake, fake, hasty, id, info, ok, options, tracker_for};
use fdfs_core::ErrorKind;
use fdfs_core::client::{CallOptions, Cancel, Range, UploadOptions, blocking};
use fdfs_core::protocol::Status;
use fdfs_core::protocol::address::AddrWidth;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Runtime;

fn client_of(runtime: &Runtime, storage: SocketAddr) -> blocking::Client {
    let tracker = runtime.block_on(tracker_for(storage, AddrWidth::V4));
    blocking::Client::new(options(&[tracker.addr]))
}

/// A storage that answers the first request of a connection and no other.
fn silent_after_one(runtime: &Runtime) -> Fake {
    let act = |_, _, number| if number == 0 { ok(info(3)) } else { Act::Hang };
    runtime.block_on(fake(act))
}

#[test]
fn one_connection_serves_threads_and_tasks_in_turn() {
    let runtime = Runtime::new().unwrap();
    let storage = runtime.block_on(fake(|_, _, _| ok(info(3))));
    let client = client_of(&runtime, storage.addr);
    for round in 1..=3 {
        assert_eq!(client.stat(&id()).unwrap().size, 3);
        let other = client.clone();
        std::thread::spawn(move || other.stat(&id()).unwrap()).join().unwrap();
        let task = client.asynchronous().clone();
        runtime.block_on(async move { task.stat(&id()).await.unwrap() });
        assert_eq!((storage.connections(), storage.requests()), (1, 3 * round));
    }
}

#[test]
fn a_thread_that_waits_for_a_silent_server_goes_in_time() {
    let runtime = Runtime::new().unwrap();
    let storage = silent_after_one(&runtime);
    let client = client_of(&runtime, storage.addr);
    client.stat(&id()).unwrap();
    let short = client.with(CallOptions::timeout(Duration::from_millis(80)));
    let error = short.stat(&id()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("timeout of 80ms passed"), "{error}");
    client.stat(&id()).unwrap();
    let error = client.stat(&id()).unwrap_err();
    assert!(error.to_string().contains("io_timeout of 2s passed while reading"), "{error}");
}

#[test]
fn a_thread_that_waits_for_a_silent_server_can_be_told_to_go() {
    let runtime = Runtime::new().unwrap();
    let storage = silent_after_one(&runtime);
    let client = client_of(&runtime, storage.addr);
    client.stat(&id()).unwrap();
    let cancel = Cancel::new();
    let call = CallOptions { cancel: Some(cancel.clone()), ..CallOptions::default() };
    let bound = client.with(call);
    let waiting = std::thread::spawn(move || bound.stat(&id()).unwrap_err());
    runtime.block_on(storage.asked(2));
    cancel.cancel();
    assert_eq!(waiting.join().unwrap().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_thread_that_sends_hears_the_server() {
    let runtime = Runtime::new().unwrap();
    let client = client_of(&runtime, runtime.block_on(hasty()));
    let error = client.upload(&vec![0; 64 << 20], UploadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("before the request"), "{error}");
}

#[test]
fn a_slow_server_is_heard() {
    let runtime = Runtime::new().unwrap();
    let storage = runtime.block_on(fake(|_, _, _| {
        // Longer than a wait in one read, shorter than a server may say nothing.
        std::thread::sleep(Duration::from_millis(1300));
        ok(info(3))
    }));
    let client = client_of(&runtime, storage.addr);
    assert_eq!(client.stat(&id()).unwrap().size, 3);
}

#[test]
fn content_is_whole_however_much_of_it_came_with_the_header() {
    let content = |len: usize| (0..len).map(|at| at as u8).collect::<Vec<u8>>();
    let runtime = Runtime::new().unwrap();
    // Header and content together around what is read at once.
    let lens = [0, 1, 8181, 8182, 8183, 8192, 8193, 20_000];
    let storage =
        runtime.block_on(fake(move |_, _, number| Act::Reply(Status::OK, content(lens[number]))));
    let client = client_of(&runtime, storage.addr);
    for len in lens {
        assert_eq!(client.download(&id(), Range::default()).unwrap(), content(len), "{len}");
    }
    assert_eq!(storage.connections(), 1);
}
