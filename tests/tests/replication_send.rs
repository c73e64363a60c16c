//! What a storage sends to a peer, in which order, and from where on after a failure.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::client::{ServerAddress, UploadOptions};
use fdfs_core::file_id::{SizeField, Source, Stamp};
use fdfs_core::protocol::address::AddrWidth;
use fdfs_core::protocol::cluster::{SyncDelete, SyncFile, SyncNames, SyncRange};
use fdfs_core::protocol::replication::{ReplicationStatus, SenderState};
use fdfs_core::protocol::storage::{Append, FileInfo};
use fdfs_core::protocol::{Command, Status, StorageStatus};
use fdfs_core::wire::{Text, Wire};
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_tests::moving::{Group, PATIENCE, wait_until};
use fdfs_tests::peer::{FakePeer, Reply, Rule, Seen, ok, progress};
use fdfs_tests::raw::{Answer, Raw};
use fdfs_tests::requests::{name_at, upload};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

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

/// Restarts the peer's machine while it cannot be sent a file, of which the name is returned; and what
/// it was sent until it had that.
async fn restart(peer: &FakePeer, conn: &mut Raw, fails: &AtomicBool) -> (String, Vec<Seen>) {
    wait_until("the first is sent", || peer.seen().len() == 1).await;
    fails.store(true, Ordering::Relaxed);
    let last = upload(conn, Command::UPLOAD_FILE, b"last", "bin");
    wait_until("the second is refused", || peer.seen().len() > 1).await;
    let before = peer.seen().len();
    peer.set_boot("two");
    fails.store(false, Ordering::Relaxed);
    let since = || peer.seen().split_off(before);
    wait_until("the last is sent", || since().iter().any(|seen| seen.name == last)).await;
    (last, since())
}

/// A copy of a file of a peer, sent by it.
fn create(conn: &mut Raw, name: &str, content: &[u8]) {
    let (size, group) = (content.len().try_into().unwrap(), "group1".try_into().unwrap());
    let head = SyncFile { name: name.try_into().unwrap(), size, timestamp: TIME, group };
    let answer = conn.call_with(Command::SYNC_CREATE_FILE, &head, content);
    assert_eq!(answer, Answer::Reply(Status::OK, Vec::new()));
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
        Command::QUERY_FILE_INFO => known(5, TIME.into()),
        _ => ok(),
    });
    let peer = FakePeer::join_taking(&group, 9, 8, rule).await;
    peer.set_boot("one");
    let first = group.storage(1, "s1", with_threads(1)).await;
    tokio::time::timeout(PATIENCE, first.wait_active()).await.unwrap();
    let mut conn = Raw::connect(first.addr());
    for (name, content) in [&lost, &there, &others] {
        create(&mut conn, name, content);
    }
    let (last, again) = restart(&peer, &mut conn, &fails).await;
    let again: Vec<(&str, bool)> =
        again.iter().map(|seen| (seen.name.as_str(), seen.given_back)).collect();
    let first_name = peer.seen()[0].name.clone();
    assert_eq!(again, [(first_name.as_str(), false), (&lost.0, true), (&last, false)]);
    let given = peer.seen().into_iter().find(|seen| seen.given_back).unwrap();
    assert_eq!((given.timestamp, given.content), (TIME, lost.1.to_vec()));
    first.shutdown().await.unwrap();
}

/// The name of an appender that was uploaded to the storage at this address.
fn appender_at(host: u8) -> String {
    let (source, size) = (Source::Ip([127, 0, 0, host].into()), SizeField::appender(7));
    let stamp = Stamp { source, created: 5, size, crc32: 0 };
    format!("M00/00/00/{}123.log", String::from_utf8_lossy(&stamp.encode()))
}

/// What the peer knows of a file.
fn known(size: usize, modified: i64) -> Option<Reply> {
    let (width, size) = (AddrWidth::V4, size.try_into().unwrap());
    let info = FileInfo { width, size, modified, crc32: 0, source_ip: Text::EMPTY };
    Some((Status::OK, info.encode().to_vec()))
}

/// Nor is a change safe that it made to a file and sent here: an append, a deletion, a final name.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_machine_was_restarted_is_told_of_changes_of_its_own_that_it_may_have_lost() {
    let group = Group::new();
    prepare(&group, 1, |_| "").await;
    let fails = Arc::new(AtomicBool::new(false));
    let for_rule = fails.clone();
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| match seen.command {
        _ if for_rule.load(Ordering::Relaxed) => Some((Status::EIO, Vec::new())),
        Command::QUERY_FILE_INFO => Some((Status::ENOENT, Vec::new())),
        _ => ok(),
    });
    let peer = FakePeer::join_taking(&group, 9, 8, rule).await;
    peer.set_boot("one");
    let first = group.storage(1, "s1", with_threads(1)).await;
    tokio::time::timeout(PATIENCE, first.wait_active()).await.unwrap();
    let mut conn = Raw::connect(first.addr());
    let (grown, deleted) = (appender_at(9), name_at([127, 0, 0, 9], b"deleted"));
    let final_name = name_at([127, 0, 0, 9], b"now final");
    let growing = grown.replace("123.log", "124.log");
    let group1 = "group1".try_into().unwrap();
    create(&mut conn, &grown, b"one");
    create(&mut conn, &deleted, b"deleted");
    create(&mut conn, &growing, b"now final");
    let name = |name: &str| name.try_into().unwrap();
    let (timestamp, offset, content_len) = (TIME + 1, 3, 3);
    let head = SyncRange { name: name(&grown), offset, content_len, timestamp, group: group1 };
    assert_eq!(conn.call_with(Command::SYNC_APPEND_FILE, &head, b"two").status(), Some(Status::OK));
    let head = SyncDelete { timestamp: TIME + 2, group: group1, name: name(&deleted) };
    assert_eq!(conn.call_with(Command::SYNC_DELETE_FILE, &head, &[]).status(), Some(Status::OK));
    let source = name(&growing);
    let head = SyncNames { name: name(&final_name), source, timestamp: TIME + 3, group: group1 };
    assert_eq!(conn.call_with(Command::SYNC_RENAME_FILE, &head, &[]).status(), Some(Status::OK));
    let (last, again) = restart(&peer, &mut conn, &fails).await;
    let back: Vec<(Command, &str, i32, &[u8])> = again
        .iter()
        .filter(|seen| seen.given_back)
        .map(|seen| (seen.command, seen.name.as_str(), seen.timestamp, &seen.content[..]))
        .collect();
    let whole = Command::SYNC_CREATE_FILE;
    let delete = Command::SYNC_DELETE_FILE;
    let expected: [(Command, &str, i32, &[u8]); 4] = [
        (Command::SYNC_UPDATE_FILE, &grown, TIME + 1, b"onetwo"),
        (delete, &deleted, TIME + 2, b""),
        (whole, &final_name, TIME + 3, b"now final"),
        (delete, &growing, TIME + 3, b""),
    ];
    assert_eq!(back, expected, "each state once, and nothing that is not there any more");
    assert!(again.iter().any(|seen| seen.name == last && !seen.given_back));
    first.shutdown().await.unwrap();
}

/// What a storage has lost with its power it gets from a peer before it sends that anything older.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_lost_power_asks_its_peers_for_later_states_of_its_files() {
    let group = Group::new();
    prepare(&group, 1, |_| "").await;
    let (lost, fails) = (Arc::new(OnceLock::<String>::new()), Arc::new(AtomicBool::new(false)));
    let (for_rule, is_down) = (lost.clone(), fails.clone());
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| {
        let is_lost = for_rule.get().is_some_and(|name| *name == seen.name);
        match seen.command {
            _ if is_down.load(Ordering::Relaxed) => Some((Status::EIO, Vec::new())),
            Command::QUERY_FILE_INFO if is_lost => known(13, (TIME + 9).into()),
            Command::QUERY_FILE_INFO => known(3, (TIME - 9).into()),
            Command::DOWNLOAD_FILE if is_lost => Some((Status::OK, b"one two three".to_vec())),
            Command::DOWNLOAD_FILE => Some((Status::OK, b"old".to_vec())),
            _ => ok(),
        }
    });
    let peer = FakePeer::join_taking(&group, 9, 8, rule).await;
    let start = async || {
        let storage = group.storage(1, "s1", with_threads(1)).await;
        tokio::time::timeout(PATIENCE, storage.wait_active()).await.unwrap();
        storage
    };
    let first = start().await;
    wait_until("the first is sent", || peer.seen().len() == 1).await;
    fails.store(true, Ordering::Relaxed);
    let mut conn = Raw::connect(first.addr());
    let mut make = |content| upload(&mut conn, Command::UPLOAD_APPENDER_FILE, content, "log");
    let (lost_name, kept_name) = (make(b"one two"), make(b"later than the peer's"));
    lost.set(lost_name.clone()).unwrap();
    let path = |name: &str| group.sync_file("s1", "../").join(&name[4..]);
    for (name, content) in [(&lost_name, "one two"), (&kept_name, "later than the peer's")] {
        let head = Append { name: name.as_str().try_into().unwrap(), content_len: 3 };
        let answer = conn.call_with(Command::APPEND_FILE, &head, b"...");
        assert_eq!(answer.status(), Some(Status::OK), "{content}");
    }
    first.shutdown().await.unwrap();
    // The machine loses power: the appends are gone, not their records.
    for (name, content) in [(&lost_name, "one two"), (&kept_name, "later than the peer's")] {
        std::fs::write(path(name), content).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(TIME.unsigned_abs().into());
        let file = std::fs::File::options().write(true).open(path(name)).unwrap();
        file.set_modified(time).unwrap();
    }
    let mark = group.sync_file("s1", "../.fdfs_running");
    std::fs::write(mark, "another start of the machine").unwrap();
    let before = peer.seen().len();
    fails.store(false, Ordering::Relaxed);
    let first = start().await;
    let states = || {
        let mut seen = peer.seen().split_off(before);
        seen.retain(|seen| [&lost_name, &kept_name].contains(&&seen.name));
        seen.into_iter().map(|seen| (seen.command, seen.name, seen.content)).collect::<Vec<_>>()
    };
    let update = Command::SYNC_UPDATE_FILE;
    let ours = (update, kept_name.clone(), b"later than the peer's".to_vec());
    wait_until("its later state is sent", || states().contains(&ours)).await;
    let is_taken = || std::fs::read(path(&lost_name)).is_ok_and(|it| it == b"one two three");
    wait_until("the peer's later state is taken", is_taken).await;
    let theirs = (update, lost_name.clone(), b"one two three".to_vec());
    wait_until("all others are sent it", || states().contains(&theirs)).await;
    let is_known = |(_, name, content): &(Command, String, Vec<u8>)| {
        *name == lost_name && content == b"one two three" || *name == kept_name
    };
    assert!(states().iter().all(is_known), "{:?}", states());
    let singles = states().iter().filter(|(command, ..)| *command != update).count();
    assert_eq!(singles, 0, "no append to what was lost: {:?}", states());
    first.shutdown().await.unwrap();
}

/// A storage that was killed within a change sends the whole file. What clients have changed at a peer
/// meanwhile must be in it, or it would be undone there.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_peers_are_heard_before_they_are_sent_what_may_differ() {
    let group = Group::new();
    let (lag, asked) = (Arc::new(AtomicI64::new(-1)), Arc::new(AtomicUsize::new(0)));
    let (its_lag, times) = (lag.clone(), asked.clone());
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| {
        if seen.command != Command::REPLICATION_STATUS {
            return ok();
        }
        times.fetch_add(1, Ordering::Relaxed);
        let lag_records = its_lag.load(Ordering::Relaxed);
        if lag_records < 0 {
            // As peers of the original.
            return Some((Status::EINVAL, Vec::new()));
        }
        let peers = vec![progress("127.0.0.8", 0), progress("127.0.0.1", lag_records)];
        let told = ReplicationStatus { now: 5, damaged_arrivals: 0, peers };
        Some((Status::OK, told.encode().to_vec()))
    });
    let first = group.active_storage(1, "s1").await;
    let peer = FakePeer::join(&group, 9, rule).await;
    let mut conn = Raw::connect(first.addr());
    let name = upload(&mut conn, Command::UPLOAD_APPENDER_FILE, b"one", "log");
    let is_whole = |seen: &Seen| seen.command == Command::SYNC_UPDATE_FILE && seen.name == name;
    let wholes = || peer.seen().iter().filter(|seen| is_whole(seen)).count();
    wait_until("it is sent", || peer.seen().len() == 1).await;
    drop(first);
    let first = group.active_storage(1, "s1").await;
    wait_until("one that tells nothing is sent it", || wholes() == 1).await;
    drop(first);
    lag.store(1, Ordering::Relaxed);
    let before = asked.load(Ordering::Relaxed);
    let first = group.active_storage(1, "s1").await;
    wait_until("it is asked again", || asked.load(Ordering::Relaxed) >= before + 2).await;
    let updates = || group.binlog("s1").iter().filter(|line| line.contains(" U ")).count();
    assert_eq!(updates(), 1, "it has more to send");
    // Killed meanwhile, it has not forgotten.
    drop(first);
    let first = group.active_storage(1, "s1").await;
    let before = wholes();
    lag.store(0, Ordering::Relaxed);
    wait_until("it is sent then", || wholes() > before && updates() == 2).await;
    first.shutdown().await.unwrap();
}
