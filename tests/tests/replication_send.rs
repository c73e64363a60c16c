//! What a storage sends to a peer, in which order, and from where on after a failure.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::client::{ServerAddress, UploadOptions};
use fdfs_core::protocol::address::AddrWidth;
use fdfs_core::protocol::cluster::SyncFile;
use fdfs_core::protocol::replication::SenderState;
use fdfs_core::protocol::storage::FileInfo;
use fdfs_core::protocol::{Command, Status, StorageStatus};
use fdfs_core::wire::{Text, Wire};
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_tests::moving::{Group, PATIENCE, wait_until};
use fdfs_tests::peer::{FakePeer, Rule, Seen, ok};
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{name_at, upload};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The time of the first record that tests write themselves.
const TIME: i32 = 1_700_000_000;

/// Makes a storage in `s1` and leaves it with `count` files, whose records are as many seconds
/// apart, with what `between` puts in front of each.
async fn prepare(group: &Group, count: usize, between: impl Fn(usize) -> &'static str) {
    let first = group.active_storage(1, "s1").await;
    let ids = group.upload(count).await;
    first.shutdown().await.unwrap();
    let records = ids.iter().enumerate().map(|(at, id)| {
        let name = id.path();
        let time = i64::from(TIME) + i64::try_from(at).unwrap();
        format!("{}{time} C {name}\n", between(at))
    });
    std::fs::write(group.sync_file("s1", "binlog.000"), records.collect::<String>()).unwrap();
}

fn with_threads(threads: usize) -> impl FnOnce(&mut StorageConfig) {
    move |config| {
        config.sync_threads_max = threads;
        config.keys.write_mark_file_freq = 1;
    }
}

fn times(range: std::ops::Range<i32>) -> Vec<i32> {
    range.map(|at| TIME + at).collect()
}

/// Waits until the peer has been sent something of each of these times.
async fn wait_times(peer: &FakePeer, times: &[i32]) {
    wait_until("all records are sent", || {
        let seen: BTreeSet<i32> = peer.times().into_iter().collect();
        times.iter().all(|time| seen.contains(time))
    })
    .await;
}

/// A peer takes the times on the connection that is introduced for all that has arrived.
#[tokio::test(flavor = "multi_thread")]
async fn side_by_side_no_time_is_told_ahead_of_unfinished_work() {
    const COUNT: i32 = 60;
    let group = Group::new();
    let junk = |at: usize| if at.is_multiple_of(20) { "9 L  junk\n" } else { "" };
    prepare(&group, 60, junk).await;
    let answered: Arc<Mutex<BTreeSet<i32>>> = Arc::default();
    let early: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (done, wrong) = (answered.clone(), early.clone());
    let is_joined = AtomicBool::new(false);
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| {
        // The one that is introduced could be through before another is there.
        is_joined.fetch_or(!seen.introduced, Ordering::Relaxed);
        if !is_joined.load(Ordering::Relaxed) {
            return None;
        }
        let mut done = done.lock().unwrap();
        let first_open = (TIME..).find(|time| !done.contains(time)).unwrap();
        if seen.introduced && seen.timestamp > first_open {
            wrong.lock().unwrap().push(seen.clone());
        }
        // All others are done late, one after the other.
        if !seen.introduced && seen.timestamp > first_open {
            return None;
        }
        done.insert(seen.timestamp);
        ok()
    });
    let peer = FakePeer::join(&group, 9, rule).await;
    let first = group.storage(1, "s1", with_threads(8)).await;
    wait_times(&peer, &times(0..COUNT)).await;
    let seen = peer.seen();
    assert_eq!(*early.lock().unwrap(), [], "ahead of what had not been answered");
    let introduced: BTreeSet<usize> =
        seen.iter().filter(|seen| seen.introduced).map(|seen| seen.conn).collect();
    let conns: BTreeSet<usize> = seen.iter().map(|seen| seen.conn).collect();
    assert_eq!(introduced.len(), 1);
    // One that is late may find nothing left to do.
    assert!((2..=8).contains(&conns.len()), "{} connections", conns.len());
    assert_eq!(seen.len(), 60, "each once");
    let status = first.replication().await;
    assert_eq!(status.peers[0].damaged, 3);
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_sending_goes_on_at_the_record_that_was_not_answered() {
    for threads in [1, 4] {
        let group = Group::new();
        prepare(&group, 30, |_| "").await;
        let dead = Arc::new(AtomicBool::new(true));
        let hangs = dead.clone();
        let rule: Arc<Rule> = Arc::new(move |seen: &Seen| {
            if hangs.load(Ordering::Relaxed) && seen.timestamp >= TIME + 20 {
                return None;
            }
            ok()
        });
        let peer = FakePeer::join(&group, 9, rule.clone()).await;
        let first = group.storage(1, "s1", with_threads(threads)).await;
        wait_times(&peer, &[TIME + 20]).await;
        wait_until("the rest is answered", || peer.times().len() >= 20 + threads.min(1)).await;
        // No goodbye: as killed.
        drop(first);
        let before = peer.times().len();
        dead.store(false, Ordering::Relaxed);
        let first = group.storage(1, "s1", with_threads(threads)).await;
        wait_times(&peer, &times(0..30)).await;
        wait_until("all the rest came again", || peer.times().len() >= before + 10).await;
        let mut resumed = peer.times()[before..].to_vec();
        resumed.sort_unstable();
        assert_eq!(resumed, times(20..30));
        first.shutdown().await.unwrap();

        // A power failure may take records that a mark stands behind: new ones are sent all the same.
        let mark = group.sync_file("s1", &format!("127.0.0.9_{}.mark", group.port));
        let text = std::fs::read_to_string(&mark).unwrap();
        let end = std::fs::metadata(group.sync_file("s1", "binlog.000")).unwrap().len();
        let (here, beyond) = (format!("binlog_offset={end}\n"), end + 5000);
        assert!(text.contains(&here), "{text}");
        std::fs::write(&mark, text.replace(&here, &format!("binlog_offset={beyond}\n"))).unwrap();
        let first = group.active_storage(1, "s1").await;
        let before = peer.times().len();
        let mut raw = Raw::connect(first.addr());
        for _ in 0..3 {
            upload(&mut raw, Command::UPLOAD_FILE, b"new", "txt");
        }
        wait_until("what came after is sent", || peer.times().len() == before + 3).await;
        first.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_the_record_is_sent_again() {
    let group = Group::new();
    prepare(&group, 12, |_| "").await;
    let full = Arc::new(AtomicBool::new(true));
    let refuses = full.clone();
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| {
        let refused = refuses.load(Ordering::Relaxed) && seen.timestamp == TIME + 5;
        if refused { Some((Status::ENOSPC, Vec::new())) } else { ok() }
    });
    let peer = FakePeer::join(&group, 9, rule).await;
    let first = group.storage(1, "s1", with_threads(4)).await;
    let address = ServerAddress { host: "127.0.0.1".into(), port: group.port };
    let client = group.client();
    let began = std::time::Instant::now();
    let failed = loop {
        let status = client.replication_status(&address).await.unwrap().unwrap();
        match status.peers.first() {
            Some(peer) if peer.state() == SenderState::FAILED => break peer.clone(),
            _ => assert!(began.elapsed() < PATIENCE, "{status:?}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((failed.failures, failed.lag_records, failed.lag_secs > 0), (1, 7, true));
    let reason = failed.reason().unwrap();
    assert!(reason.contains("status 28") && reason.contains("refused Create of M00/"), "{reason}");
    full.store(false, Ordering::Relaxed);
    wait_times(&peer, &times(0..12)).await;
    let sent = peer.times();
    assert!(sent.iter().filter(|time| **time == TIME + 5).count() == 2, "{sent:?}");
    assert!(sent.iter().filter(|time| **time < TIME + 5).count() == 5, "{sent:?}");
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_binlog_files_are_compressed_and_unpacked_for_who_comes_later() {
    let group = Group::new();
    prepare(&group, 20, |_| "").await;
    let sync = |name: &str| group.sync_file("s1", name);
    std::fs::write(sync("binlog.001"), "").unwrap();
    std::fs::write(sync("binlog_index.dat"), "current_write=1\ncurrent_compress=0\n").unwrap();
    let text = std::fs::read(sync("binlog.000")).unwrap();
    let held = Arc::new(AtomicBool::new(true));
    let holds = held.clone();
    let rule: Arc<Rule> =
        Arc::new(move |_: &Seen| if holds.load(Ordering::Relaxed) { None } else { ok() });
    let peer = FakePeer::join(&group, 9, rule.clone()).await;
    let first = group.storage(1, "s1", |_| {}).await;
    wait_until("the peer is sent to", || !peer.times().is_empty()).await;
    let compress = || first.engine().compress_binlog(&|| false).unwrap();
    assert_eq!(compress(), 0, "the peer has not read it");
    held.store(false, Ordering::Relaxed);
    wait_times(&peer, &times(0..20)).await;
    let mark = format!("127.0.0.9_{}.mark", group.port);
    wait_until("the mark is in the next file", || {
        std::fs::read_to_string(sync(&mark)).is_ok_and(|mark| mark.contains("binlog_index=1\n"))
    })
    .await;
    assert_eq!((compress(), sync("binlog.000").exists()), (1, false));
    assert!(sync("binlog.000.gz").exists());

    let late = FakePeer::join(&group, 8, rule).await;
    wait_times(&late, &times(0..20)).await;
    assert_eq!(late.seen().len(), 20);
    assert_eq!(std::fs::read(sync("binlog.000")).unwrap(), text);
    assert_eq!(peer.seen().len(), 20, "nothing twice for who had it");
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grew_and_got_its_final_name_while_a_member_was_away_is_whole_there() {
    let group = Group::new();
    let first = group.active_storage(1, "s1").await;
    let second = group.active_storage(2, "s2").await;
    second.shutdown().await.unwrap();
    group.wait_status(2, StorageStatus::OFFLINE).await;
    let client = group.client();
    let appender = UploadOptions { appender: true, ..UploadOptions::ext("log") };
    let id = client.upload(b"first part", appender).await.unwrap();
    let second = group.active_storage(2, "s2").await;
    wait_until("it is there", || group.file("s2", &id).exists()).await;
    second.shutdown().await.unwrap();
    group.wait_status(2, StorageStatus::OFFLINE).await;
    client.append(&id, b", second part").await.unwrap();
    let id = client.finalize(&id).await.unwrap();
    let second = group.active_storage(2, "s2").await;
    wait_until("it is whole", || {
        std::fs::read(group.file("s2", &id))
            .is_ok_and(|content| content == b"first part, second part")
    })
    .await;
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

/// Its disk need not have what it was sent shortly before: a peer says when it was sent something, not
/// when that is safe.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_machine_was_restarted_is_sent_again_what_it_may_have_lost() {
    let group = Group::new();
    prepare(&group, 3, |_| "").await;
    let fails = Arc::new(AtomicBool::new(false));
    let for_rule = fails.clone();
    let rule: Arc<Rule> = Arc::new(move |_: &Seen| match for_rule.load(Ordering::Relaxed) {
        true => Some((Status::EIO, Vec::new())),
        false => ok(),
    });
    let peer = FakePeer::join_taking(&group, 9, 8, rule).await;
    peer.set_boot("one");
    let start = async || {
        let storage = group.storage(1, "s1", with_threads(1)).await;
        tokio::time::timeout(PATIENCE, storage.wait_active()).await.unwrap();
        storage
    };
    let store = |storage: &RunningStorage| {
        upload(&mut Raw::connect(storage.addr()), Command::UPLOAD_FILE, b"more", "bin");
    };
    let first = start().await;
    wait_times(&peer, &times(0..3)).await;
    // A connection that was lost, and even a sender that was restarted, are no reason.
    first.shutdown().await.unwrap();
    let first = start().await;
    store(&first);
    wait_until("the fourth is sent", || peer.seen().len() == 4).await;
    // A restart of the machine is one.
    fails.store(true, Ordering::Relaxed);
    store(&first);
    wait_until("the fifth is refused", || peer.seen().len() > 4).await;
    peer.set_boot("two");
    fails.store(false, Ordering::Relaxed);
    let is_again = || peer.times().iter().filter(|time| times(0..3).contains(time)).count() == 6;
    wait_until("the first three are sent again", is_again).await;
    let before = peer.seen().len();
    first.shutdown().await.unwrap();
    let first = start().await;
    store(&first);
    wait_until("the sixth is sent", || peer.seen().len() > before).await;
    let after = peer.times().split_off(before);
    assert!(after.iter().all(|time| !times(0..3).contains(time)), "once is enough: {after:?}");
    first.shutdown().await.unwrap();
}

/// What it had stored for clients may be gone from its disk, too: whoever has it gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_machine_was_restarted_is_given_back_files_of_its_own_that_it_lost() {
    let group = Group::new();
    prepare(&group, 1, |_| "").await;
    let [lost, there, others] = [(9, &b"lost"[..]), (9, b"there"), (8, b"another's")]
        .map(|(host, content)| (name_at([127, 0, 0, host], content), content));
    let fails = Arc::new(AtomicBool::new(false));
    let (for_rule, lost_name) = (fails.clone(), lost.0.clone());
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| match seen.command {
        _ if for_rule.load(Ordering::Relaxed) => Some((Status::EIO, Vec::new())),
        Command::QUERY_FILE_INFO if seen.name == lost_name => Some((Status::ENOENT, Vec::new())),
        Command::QUERY_FILE_INFO => {
            let width = AddrWidth::V4;
            let (modified, source_ip) = (TIME.into(), Text::EMPTY);
            let info = FileInfo { width, size: 5, modified, crc32: 0, source_ip };
            Some((Status::OK, info.encode().to_vec()))
        }
        _ => ok(),
    });
    let peer = FakePeer::join_taking(&group, 9, 8, rule).await;
    peer.set_boot("one");
    let first = group.storage(1, "s1", with_threads(1)).await;
    tokio::time::timeout(PATIENCE, first.wait_active()).await.unwrap();
    let mut conn = Raw::connect(first.addr());
    for (name, content) in [&lost, &there, &others] {
        let (size, group) = (content.len().try_into().unwrap(), "group1".try_into().unwrap());
        let head =
            SyncFile { name: name.as_str().try_into().unwrap(), size, timestamp: TIME, group };
        let answer = conn.call_with(Command::SYNC_CREATE_FILE, &head, content);
        assert_eq!(answer, Answer::Reply(Status::OK, Vec::new()));
    }
    wait_until("the first is sent", || peer.seen().len() == 1).await;
    fails.store(true, Ordering::Relaxed);
    let last = upload(&mut conn, Command::UPLOAD_FILE, b"last", "bin");
    wait_until("the second is refused", || peer.seen().len() > 1).await;
    let before = peer.seen().len();
    peer.set_boot("two");
    fails.store(false, Ordering::Relaxed);
    let is_sent = |name: &String| peer.seen()[before..].iter().any(|seen| seen.name == *name);
    wait_until("the last is sent", || is_sent(&last)).await;
    let again = peer.seen().split_off(before);
    let again: Vec<(&str, bool)> =
        again.iter().map(|seen| (seen.name.as_str(), seen.given_back)).collect();
    let first_name = peer.seen()[0].name.clone();
    assert_eq!(again, [(first_name.as_str(), false), (&lost.0, true), (&last, false)]);
    let given = peer.seen().into_iter().find(|seen| seen.given_back).unwrap();
    assert_eq!((given.timestamp, given.content), (TIME, lost.1.to_vec()));
    first.shutdown().await.unwrap();
}
