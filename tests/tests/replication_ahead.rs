//! Changes that follow each other without waiting for answers, between members that both can.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::file_id::LogicName;
use fdfs_core::protocol::cluster::{SyncDelete, SyncFile, SyncRange};
use fdfs_core::protocol::replication::{ASKS_AHEAD, BootId, Introduced};
use fdfs_core::protocol::{Command, Status, StorageId};
use fdfs_core::wire::Wire;
use fdfs_tests::engine::EngineLab;
use fdfs_tests::moving::{Group, wait_until};
use fdfs_tests::peer::{FakePeer, Rule, Seen, ok};
use fdfs_tests::raw::{Answer, Raw, packet};
use fdfs_tests::requests::{bytes, file, refused, upload};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// When the changes of the peer were made.
const TIME: i32 = 1_700_000_000;
const OK: Answer = Answer::Reply(Status::OK, Vec::new());

fn create(name: &str, content: &[u8]) -> Vec<u8> {
    let (name, group) = (name.try_into().unwrap(), "group1".try_into().unwrap());
    let head = SyncFile { name, size: content.len() as i64, timestamp: TIME, group };
    packet(Command::SYNC_CREATE_FILE, 0, &head, content)
}

fn append(name: &str, offset: usize, content: &[u8]) -> Vec<u8> {
    let (name, group) = (name.try_into().unwrap(), "group1".try_into().unwrap());
    let (offset, content_len) = (offset as i64, content.len() as i64);
    let head = SyncRange { name, offset, content_len, timestamp: TIME, group };
    packet(Command::SYNC_APPEND_FILE, 0, &head, content)
}

fn delete(name: &str) -> Vec<u8> {
    let (name, group) = (name.try_into().unwrap(), "group1".try_into().unwrap());
    let head = SyncDelete { timestamp: TIME, group, name };
    packet(Command::SYNC_DELETE_FILE, 0, &head, &[])
}

/// Names that are right for this content, of files that are not here any more.
fn names(lab: &EngineLab, raw: &mut Raw, command: Command, content: &[u8]) -> [String; 3] {
    [(); 3].map(|()| {
        let name = upload(raw, command, content, "bin");
        std::fs::remove_file(lab.path(&name)).unwrap();
        name
    })
}

#[test]
fn requests_that_come_together_are_done_and_answered_in_their_order() {
    let lab = EngineLab::new(5, "", |_| ());
    let mut raw = lab.connect();
    let content = bytes(5000);
    let [a, b, c] = names(&lab, &mut raw, Command::UPLOAD_FILE, &content);
    let [log, ..] = names(&lab, &mut raw, Command::UPLOAD_APPENDER_FILE, b"one");
    let before = lab.binlog().len();
    let id: StorageId = "10.0.0.1".try_into().unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot: BootId = boot.trim_end().try_into().unwrap();
    let source = LogicName::parse(a.as_bytes()).unwrap().stamp().unwrap().source;
    let asked = packet(Command::REPORT_SERVER_ID, ASKS_AHEAD, &id, &[]);
    let not_asked = packet(Command::REPORT_SERVER_ID, 0, &id, &[]);
    let kept = packet(
        Command::SYNC_CREATE_FILE,
        Status::EEXIST.0,
        &{
            let (name, group) = (c.as_str().try_into().unwrap(), "group1".try_into().unwrap());
            SyncFile { name, size: 5000, timestamp: TIME, group }
        },
        &[],
    );
    let requests = [
        (
            asked,
            Answer::Reply(
                Status::OK,
                Introduced { ahead_max: 64, boot, is_unsure: 0, source }.encode().to_vec(),
            ),
        ),
        (create(&a, &content), OK),
        (create(&log, b"one"), OK),
        (append(&log, 3, b"two"), OK),
        (append(&log, 9, b"four"), refused(Status::ENOENT)),
        (append(&log, 6, b"three"), OK),
        (create(&b, &content), OK),
        (create(&b, &content), refused(Status::EEXIST)),
        (not_asked, OK),
        (delete(&a), OK),
        (delete(&a), refused(Status::ENOENT)),
        (create(&c, &[0; 5000]), OK),
        (packet(Command::DELETE_FILE, 0, &file(&a), &[]), refused(Status::ENOENT)),
        (create(&c, &content), OK),
        (kept, refused(Status::EEXIST)),
        (packet(Command::ACTIVE_TEST, 0, &(), &[]), OK),
    ];
    let together: Vec<u8> = requests.iter().flat_map(|(packet, _)| packet.clone()).collect();
    raw.send(&together);
    for (at, (_, expected)) in requests.iter().enumerate() {
        assert_eq!(raw.answer(), *expected, "request {at}");
    }
    assert_eq!(std::fs::read(lab.path(&log)).unwrap(), b"onetwothree");
    assert_eq!(std::fs::read(lab.path(&b)).unwrap(), content);
    assert!(!lab.path(&a).exists() && lab.path(&c).exists());
    let expected = [
        format!("c {a}"),
        format!("c {log}"),
        format!("a {log} 3 3"),
        format!("a {log} 6 5"),
        format!("c {b}"),
        format!("c {b}"),
        format!("d {a}"),
        format!("c {c}"),
        format!("c {c}"),
    ];
    assert_eq!(lab.binlog()[before..], expected);
}

#[test]
fn peers_are_told_of_a_restart_once_the_files_of_the_last_run_are_checked() {
    let lab = EngineLab::new(5, "", |_| ());
    let mut raw = lab.connect();
    let id: StorageId = "10.0.0.1".try_into().unwrap();
    let mut introduce = |flags| raw.call_with_flags(Command::REPORT_SERVER_ID, flags, &id, &[]);
    lab.engine.checked.send_replace(false);
    assert_eq!(introduce(0), OK, "a peer of the original does not ask");
    assert_eq!(introduce(ASKS_AHEAD), refused(Status::EBUSY), "it may come again");
    let engine = lab.engine.clone();
    let checking = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        engine.checked.send_replace(true)
    });
    let told = introduce(ASKS_AHEAD).body();
    assert!(*lab.engine.checked.borrow() && Introduced::decode(&told).is_ok());
    checking.join().unwrap();
}

#[test]
fn changes_that_come_together_are_all_recorded_and_do_not_block_each_other() {
    let lab = EngineLab::new(28, "", |_| ());
    let mut raw = lab.connect();
    let names: Vec<String> = (0..200)
        .map(|_| {
            let name = upload(&mut raw, Command::UPLOAD_FILE, b"content", "bin");
            std::fs::remove_file(lab.path(&name)).unwrap();
            name
        })
        .collect();
    let before = lab.binlog().len();
    raw.send(&names.iter().flat_map(|name| create(name, b"content")).collect::<Vec<u8>>());
    for name in &names {
        assert_eq!(raw.answer(), OK, "{name}");
        assert!(lab.path(name).exists());
    }
    let expected: Vec<String> = names.iter().map(|name| format!("c {name}")).collect();
    assert_eq!(lab.binlog()[before..], expected);
    // Two connections with changes of the same files never wait for each other for good.
    let mut other = lab.connect();
    let (forth, back): (Vec<u8>, Vec<u8>) = (
        names.iter().flat_map(|name| delete(name)).collect(),
        names.iter().rev().flat_map(|name| delete(name)).collect(),
    );
    raw.send(&forth);
    other.send(&back);
    let mut done = 0;
    for _ in &names {
        for answer in [raw.answer(), other.answer()] {
            assert!(answer == OK || answer == refused(Status::ENOENT), "{answer:?}");
            done += usize::from(answer == OK);
        }
    }
    assert_eq!(done, names.len(), "each is deleted once");
}

/// Makes a storage in `s1` and leaves it with `count` files, whose records are a second apart.
async fn prepare(group: &Group, count: usize) {
    let first = group.active_storage(1, "s1").await;
    let ids = group.upload(count).await;
    first.shutdown().await.unwrap();
    let records = ids.iter().zip(TIME..).map(|(id, time)| format!("{time} C {}\n", id.path()));
    std::fs::write(group.sync_file("s1", "binlog.000"), records.collect::<String>()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_refused_change_is_sent_again_and_no_time_is_told_ahead() {
    const COUNT: usize = 150;
    let refused_time = TIME + 70;
    let group = Group::new();
    prepare(&group, COUNT).await;
    let refuses = Arc::new(AtomicBool::new(true));
    let (done, early) =
        (Arc::<Mutex<BTreeSet<i32>>>::default(), Arc::<Mutex<Vec<Seen>>>::default());
    let (is_refused, all, wrong) = (refuses.clone(), done.clone(), early.clone());
    let rule: Arc<Rule> = Arc::new(move |seen: &Seen| {
        let mut all = all.lock().unwrap();
        let first_open = (TIME..).find(|time| !all.contains(time)).unwrap();
        if seen.introduced && seen.timestamp > first_open && first_open != refused_time {
            wrong.lock().unwrap().push(seen.clone());
        }
        if seen.timestamp == refused_time && is_refused.swap(false, Ordering::Relaxed) {
            return Some((Status::ENOSPC, Vec::new()));
        }
        all.insert(seen.timestamp);
        ok()
    });
    let peer = FakePeer::join_taking(&group, 9, 32, rule).await;
    let first = group.storage(1, "s1", |config| config.sync_threads_max = 3).await;
    wait_until("all have arrived", || done.lock().unwrap().len() == COUNT).await;
    assert_eq!(*early.lock().unwrap(), [], "ahead of what had not been answered");
    assert!(!refuses.load(Ordering::Relaxed));
    let times = peer.times();
    assert_eq!(times.iter().filter(|time| **time == refused_time).count(), 2);
    let before = times.iter().filter(|time| **time < refused_time).count();
    assert_eq!(before, 70, "what was before the failure is not sent again");
    assert!(peer.ahead_most() > 8, "they follow each other: {}", peer.ahead_most());
    assert!(peer.ahead_most() <= 32, "more than the peer takes: {}", peer.ahead_most());
    first.shutdown().await.unwrap();
}
