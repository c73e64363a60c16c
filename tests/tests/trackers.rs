//! Several trackers: who leads, what happens when it goes, and what they tell each other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fdfs_core::client::{Client, Range, UploadOptions};
use fdfs_core::protocol::cluster::{DiskSpace, Join};
use fdfs_core::protocol::frame::{HEADER_LEN, Header};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::{GroupMember, StorageList, TrackerStatus};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::{FixedStr, Text, Wire};
use fdfs_servers::tracker::RunningTracker;
use fdfs_tests::configured::{client, free_port, storage, tracker, wait_until_storing};
use fdfs_tests::raw::{Answer, Raw};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for trackers to agree: two elections by the old rule.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "still no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Whom the tracker on this port takes for the leader.
fn leader_by(port: u16) -> Option<u16> {
    let stream = std::net::TcpStream::connect(at(port)).ok()?;
    match Raw(stream).call(Command::GET_LEADER, &[]) {
        Answer::Reply(Status::OK, body) => {
            let text = String::from_utf8(body).unwrap();
            text.rsplit_once(':').unwrap().1.parse().ok()
        }
        _ => None,
    }
}

/// The leader that all of these agree on.
fn agreed(ports: &[u16]) -> Option<u16> {
    let named: BTreeSet<Option<u16>> = ports.iter().map(|port| leader_by(*port)).collect();
    match named.into_iter().collect::<Vec<_>>().as_slice() {
        [Some(one)] => Some(*one),
        _ => None,
    }
}

fn trackers(dir: &Path, count: usize, more: &str) -> Vec<(u16, Option<RunningTracker>)> {
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
    ports.iter().map(|port| (*port, Some(tracker(dir, *port, more)))).collect()
}

async fn stores_and_reads(client: &Client) {
    let id = client.upload(b"kept", UploadOptions::ext("txt")).await.unwrap();
    assert_eq!(client.download(&id, Range::default()).await.unwrap(), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_trackers_have_one_leader_and_another_when_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = trackers(dir.path(), 3, "");
    let ports: Vec<u16> = all.iter().map(|(port, _)| *port).collect();
    let running = storage(dir.path(), "127.0.0.1", free_port(), &ports, "").await;
    let first = wait_for("leader", || agreed(&ports));
    let leads = |tracker: &RunningTracker| tracker.is_leader();
    let count = all.iter().filter(|(_, tracker)| tracker.as_ref().is_some_and(leads)).count();
    assert_eq!(count, 1);
    let client = client(&ports);
    wait_until_storing(&client).await;
    let view = running.link().view();
    wait_for("leader at the storage", || view.borrow().leader);

    // It goes without a word, as in a crash.
    let gone = all.iter().position(|(port, _)| *port == first).unwrap();
    drop(all[gone].1.take());
    let left: Vec<u16> = ports.iter().copied().filter(|port| *port != first).collect();
    let second = wait_for("second leader", || agreed(&left).filter(|port| *port != first));
    stores_and_reads(&client).await;
    let lists = || {
        let mut raw = Raw::connect(at(second));
        let stats = raw.call(Command::TRACKER_CLUSTER_STAT, &[0, 0, 0]).body();
        usize::from(stats[0])
    };
    assert_eq!(lists(), 3);

    // It comes back and follows.
    all[gone].1 = Some(tracker(dir.path(), first, ""));
    assert_eq!(wait_for("leader known by all", || agreed(&ports)), second);
    stores_and_reads(&client).await;
    running.shutdown().await.unwrap();
    for (_, tracker) in all {
        tracker.unwrap().shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tracker_added_later_becomes_a_member_and_copies_what_the_others_know() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (free_port(), free_port());
    let _old = tracker(dir.path(), old, "");
    let (one, two) = (free_port(), free_port());
    let leaving = storage(dir.path(), "127.0.0.2", one, &[old], "").await;
    let staying = storage(dir.path(), "127.0.0.1", one, &[old], "").await;
    wait_for("leader", || agreed(&[old]));
    leaving.shutdown().await.unwrap();
    staying.shutdown().await.unwrap();
    let _new = tracker(dir.path(), new, "");
    let running = storage(dir.path(), "127.0.0.1", one, &[old, new], "").await;
    wait_for("leader of both", || agreed(&[old, new]));
    // The storage that is away has told the new tracker nothing.
    let group = client(&[new]).list_storages("group1", None).await.unwrap();
    let known: BTreeSet<String> = group.into_iter().map(|storage| storage.id).collect();
    assert_eq!(known, ["127.0.0.1", "127.0.0.2"].map(str::to_owned).into());
    let _ = two;
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_majority_gone_groups_still_hear_of_their_members() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = trackers(dir.path(), 2, "");
    let ports: Vec<u16> = all.iter().map(|(port, _)| *port).collect();
    let port = free_port();
    let first = storage(dir.path(), "127.0.0.1", port, &ports, "").await;
    let leader = wait_for("leader", || agreed(&ports));
    wait_until_storing(&client(&ports)).await;
    let gone = all.iter().position(|(port, _)| *port == leader).unwrap();
    drop(all[gone].1.take());
    let left = all[1 - gone].0;
    wait_for("loss of the leader", || leader_by(left).is_none().then_some(()));
    let second = storage(dir.path(), "127.0.0.2", port, &ports, "").await;
    let view = first.link().view();
    wait_for("news of the second member", || (view.borrow().peers.len() == 2).then_some(()));
    let active = tokio::time::timeout(PATIENCE, second.wait_active()).await;
    active.expect("the first member fills the second");
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

/// A storage that joins and reports like one, and answers a tracker's question for its trunk binlog.
struct FakeStorage {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeStorage {
    fn start(ports: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own_port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut header = [0; HEADER_LEN];
                while stream.read_exact(&mut header).is_ok() {
                    let _ = stream.write_all(&reply(Status::OK, &0i64.to_be_bytes()));
                }
            }
        });
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut links: Vec<Option<Raw>> = ports.iter().map(|_| None).collect();
            while !told.load(Ordering::Relaxed) {
                for (link, port) in links.iter_mut().zip(&ports) {
                    if link.is_none() {
                        *link = join(*port, own_port, &ports);
                    }
                    let alive = link.as_mut().is_some_and(|link| {
                        matches!(link.call(Command::STORAGE_BEAT, &[]), Answer::Reply(..))
                    });
                    if !alive {
                        *link = None;
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for FakeStorage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn reply(status: Status, body: &[u8]) -> Vec<u8> {
    let mut packet = u64::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    packet.extend_from_slice(&[100, status.0]);
    packet.extend_from_slice(body);
    packet
}

/// Joins one tracker; `None` when it is not there or says to come again.
fn join(tracker: u16, own_port: u16, ports: &[u16]) -> Option<Raw> {
    let mut raw = Raw(std::net::TcpStream::connect(at(tracker)).ok()?);
    raw.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let lines = ports.iter().map(|port| format!("127.0.0.1:{port}").as_str().try_into().unwrap());
    let join = Join {
        group: FixedStr::truncated(b"group1"),
        port: own_port.into(),
        store_path_count: 1,
        subdir_count_per_path: 256,
        upload_priority: 10,
        join_time: 1_700_000_000,
        up_time: 1_700_000_000,
        version: FixedStr::truncated(b"6.16.1"),
        init_flag: 1,
        status: -1,
        id: FixedStr::EMPTY,
        tracker_ip: FixedStr::truncated(b"127.0.0.1"),
        trackers: lines.collect(),
    };
    let joined = raw.call(Command::STORAGE_JOIN, &join.encode());
    matches!(joined, Answer::Reply(Status::OK, _)).then_some(())?;
    raw.call(Command::SYNC_DEST_REQ, &[]).body();
    raw.call(Command::STORAGE_BEAT, &StorageStats::default().encode()).body();
    let space = vec![DiskSpace { total_mb: 1000, free_mb: 900 }];
    raw.call(Command::REPORT_DISK_USAGE, &space.encode()).body();
    Some(raw)
}

/// Whether a tracker shows the group's only storage as its trunk server.
fn has_trunk_server(port: u16) -> Option<bool> {
    let stream = std::net::TcpStream::connect(at(port)).ok()?;
    let all = GroupMember { group: "group1".try_into().unwrap(), id: Text::EMPTY };
    match Raw(stream).call(Command::LIST_STORAGES, &all.encode()) {
        Answer::Reply(Status::OK, body) => {
            let list = StorageList::decode(&body).unwrap();
            Some(list.storages.first()?.is_trunk_server == 1)
        }
        _ => None,
    }
}

#[test]
fn trackers_agree_on_the_trunk_server_and_remember_it() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let trunk = "use_trunk_file=true\nstore_server=1\n";
    let mut all = trackers(dir.path(), 3, trunk);
    let ports: Vec<u16> = all.iter().map(|(port, _)| *port).collect();
    let fake = FakeStorage::start(ports.clone());
    let knows = |port: &u16| has_trunk_server(*port) == Some(true);
    wait_for("trunk server at all trackers", || ports.iter().all(knows).then_some(()));
    // Two of three are gone: what is left neither forgets nor decides anew.
    let leader = wait_for("leader", || agreed(&ports));
    for (port, tracker) in &mut all {
        if *port != leader {
            drop(tracker.take());
        }
    }
    wait_for("loss of the majority", || leader_by(leader).is_none().then_some(()));
    assert!(knows(&leader));
    let none = GroupMember { group: "group1".try_into().unwrap(), id: Text::EMPTY };
    let asked = Raw::connect(at(leader)).call(Command::SET_TRUNK_SERVER, &none.encode());
    assert_eq!(asked, Answer::Reply(Status::EOPNOTSUPP, Vec::new()));
    // They come back, with a majority that was told nothing else.
    for (port, tracker_slot) in &mut all {
        if tracker_slot.is_none() {
            *tracker_slot = Some(tracker(dir.path(), *port, trunk));
        }
    }
    wait_for("leader again", || agreed(&ports));
    wait_for("trunk server at all trackers", || ports.iter().all(knows).then_some(()));
    drop(fake);
}

/// An original as far as other trackers see it: it knows nothing of the consensus.
struct FakeOriginal {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl FakeOriginal {
    fn start(leads: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), log) = (stream, log.clone()) else { return };
                std::thread::spawn(move || {
                    let mut header = [0; HEADER_LEN];
                    while stream.read_exact(&mut header).is_ok() {
                        let header = Header::parse(header).unwrap();
                        let mut body = vec![0; usize::try_from(header.body_len).unwrap()];
                        stream.read_exact(&mut body).unwrap();
                        let command = header.command;
                        log.lock().unwrap().push(command.0);
                        let _ = stream.write_all(&answer(command, leads));
                    }
                });
            }
        });
        Self { port, seen }
    }

    fn has_seen(&self, command: Command) -> bool {
        self.seen.lock().unwrap().contains(&command.0)
    }
}

fn answer(command: Command, leads: bool) -> Vec<u8> {
    let status = TrackerStatus {
        is_leader: u8::from(leads),
        // One that leads has run long; the other yields to whoever has.
        running_secs: if leads { 3000 } else { -300 },
        restart_interval_secs: 0,
    };
    match command {
        Command::TRACKER_STATUS => reply(Status::OK, &status.encode()),
        Command::ACTIVE_TEST
        | Command::NOTIFY_NEXT_LEADER
        | Command::COMMIT_NEXT_LEADER
        | Command::TRACKER_JOIN_LEADER
        | Command::PING_LEADER => reply(Status::OK, &[]),
        Command::GET_SYS_FILES_START => reply(Status::ENOENT, &[]),
        _ => reply(Status::EINVAL, &[]),
    }
}

#[test]
fn with_an_original_in_the_list_the_leader_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let original = FakeOriginal::start(false);
    let all = trackers(dir.path(), 2, "");
    let mut ports: Vec<u16> = all.iter().map(|(port, _)| *port).collect();
    let ours = ports.clone();
    ports.push(original.port);
    let _fake = FakeStorage::start(ports);
    let leader = wait_for("announced leader", || agreed(&ours));
    assert!(ours.contains(&leader));
    assert!(original.has_seen(Command::NOTIFY_NEXT_LEADER));
    assert!(original.has_seen(Command::COMMIT_NEXT_LEADER));
    assert!(!original.has_seen(Command::CONSENSUS_MESSAGE));
}

#[test]
fn an_original_that_leads_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let original = FakeOriginal::start(true);
    let all = trackers(dir.path(), 1, "");
    let own = all[0].0;
    // It says that it has nothing to copy, which is no reason to refuse a storage for ever.
    let _fake = FakeStorage::start(vec![own, original.port]);
    wait_for("leader", || (leader_by(own) == Some(original.port)).then_some(()));
    wait_for("sign of life", || original.has_seen(Command::PING_LEADER).then_some(()));
    assert!(original.has_seen(Command::TRACKER_JOIN_LEADER));
}
