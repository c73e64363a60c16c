//! A tracker on a real socket, byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use fdfs_core::protocol::Command;
use fdfs_core::protocol::cluster::{DiskSpace, Join, SyncSource};
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::{GroupMember, StorageList};
use fdfs_core::wire::{FixedStr, Wire};
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

fn config(dir: &Path) -> TrackerConfig {
    TrackerConfig::embedded(dir, "127.0.0.1:0".parse().unwrap()).unwrap()
}

struct Lab {
    tracker: RunningTracker,
    dir: tempfile::TempDir,
}

impl Lab {
    fn start(change: impl FnOnce(&mut TrackerConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        Self { tracker: RunningTracker::start(config).unwrap(), dir }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.tracker.addr()).await.unwrap()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("data").join(name)).unwrap_or_default()
    }
}

fn frame(command: Command, body: &[u8]) -> Vec<u8> {
    [&Header::request(command, body.len() as u64).encode()[..], body].concat()
}

async fn reply(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 10];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[8], 100, "every reply carries this command");
    let header = Header::parse(header).unwrap();
    let mut body = vec![0; header.body_len as usize];
    stream.read_exact(&mut body).await.unwrap();
    (header.status.0, body)
}

async fn call(stream: &mut TcpStream, command: Command, body: impl Wire) -> (u8, Vec<u8>) {
    stream.write_all(&frame(command, &body.encode())).await.unwrap();
    reply(stream).await
}

async fn is_open(stream: &mut TcpStream) -> bool {
    call(stream, Command::ACTIVE_TEST, ()).await == (0, Vec::new())
}

async fn is_closed_silently(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is a close as well: unread bytes were pending.
    let closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    closed.is_ok() && rest.is_empty()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Joins as a storage with this port and reports space. The tracker may begin to lead at any
/// moment, so the flags of the change lists so far are returned as well.
async fn join(addr: SocketAddr, port: u16) -> (TcpStream, u8) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let tracker = format!("127.0.0.1:{}", addr.port());
    let join = Join {
        group: FixedStr::try_from("group1").unwrap(),
        port: port.into(),
        store_path_count: 1,
        subdir_count_per_path: 256,
        upload_priority: 10,
        join_time: 1,
        up_time: 2,
        version: "6.16.1".try_into().unwrap(),
        init_flag: 1,
        status: 0,
        id: FixedStr::EMPTY,
        tracker_ip: "127.0.0.1".try_into().unwrap(),
        trackers: vec![tracker.as_str().try_into().unwrap()],
    };
    assert_eq!(call(&mut stream, Command::STORAGE_JOIN, join).await.0, 0);
    let trusted = SyncSource { id: FixedStr::EMPTY, until: 0 };
    assert_eq!(call(&mut stream, Command::SYNC_NOTIFY, trusted).await.0, 0);
    let stats = Some(StorageStats::default());
    let (_, beat) = call(&mut stream, Command::STORAGE_BEAT, stats).await;
    let space = vec![DiskSpace { total_mb: 1000, free_mb: 900 }];
    let (_, report) = call(&mut stream, Command::REPORT_DISK_USAGE, space).await;
    (stream, beat[0] | report[0])
}

#[tokio::test]
async fn refused_requests_keep_the_connection() {
    let lab = Lab::start(|_| {});
    let mut stream = lab.connect().await;
    for (command, body, status) in [
        (Command(200), &b""[..], 22),
        (Command(0), b"abc", 22),
        (Command::QUERY_STORE, b"x", 22),
        (Command::QUERY_STORE_GROUP, b"short", 22),
        (Command::QUERY_FETCH, b"group1", 22),
        (Command::ACTIVE_TEST, b"x", 22),
        (Command::STORAGE_JOIN, &[0; 144], 22),
        (Command::STORAGE_JOIN, &[0; 145], 22),
        (Command::QUERY_STORE, b"", 2),
        (Command::STORAGE_BEAT, b"", 13),
        (Command::SYNC_DEST_QUERY, b"", 13),
        (Command::SYNC_NOTIFY, &[0; 24], 13),
        (Command::UPLOAD_FILE, &[0; 500], 22),
    ] {
        stream.write_all(&frame(command, body)).await.unwrap();
        assert_eq!(reply(&mut stream).await, (status, Vec::new()), "{command}");
        assert!(is_open(&mut stream).await, "{command}");
    }
    lab.tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn impossible_lengths_close_without_a_reply() {
    let lab = Lab::start(|c| c.framework.keys.buff_size = 8192);
    // `max_pkg_size` counts the header. 2^32 would be taken for 0 by the original (Q9).
    for len in [-1, i64::MIN, 8183, 1 << 32, i64::MAX] {
        let mut stream = lab.connect().await;
        let mut packet = len.to_be_bytes().to_vec();
        packet.extend_from_slice(&[Command::ACTIVE_TEST.0, 0]);
        stream.write_all(&packet).await.unwrap();
        assert!(is_closed_silently(&mut stream).await, "{len}");
    }
    let mut stream = lab.connect().await;
    stream.write_all(&frame(Command::ACTIVE_TEST, &[0; 8182])).await.unwrap();
    assert_eq!(reply(&mut stream).await.0, 22, "the longest that fits");
    assert!(is_open(&mut stream).await);
    let mut stream = lab.connect().await;
    stream.write_all(&frame(Command::QUIT, &[])).await.unwrap();
    assert!(is_closed_silently(&mut stream).await, "quit");
    lab.tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn pipelined_and_broken_up_requests_are_answered_in_order() {
    let lab = Lab::start(|_| {});
    let mut stream = lab.connect().await;
    let ids = frame(Command::FETCH_STORAGE_IDS, &[0, 0, 0, 0, 1]);
    let requests = [frame(Command::QUERY_STORE, &[]), ids, frame(Command(201), &[7; 300])].concat();
    stream.write_all(&requests).await.unwrap();
    let expected = [(2, Vec::new()), (0, vec![0; 8]), (22, Vec::new())];
    for expected in &expected {
        assert_eq!(reply(&mut stream).await, *expected);
    }
    stream.set_nodelay(true).unwrap();
    for byte in &requests {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    for expected in expected {
        assert_eq!(reply(&mut stream).await, expected);
    }
    // Half a request, then nothing: the peer is gone, the tracker lives on.
    stream.write_all(&[0; 7]).await.unwrap();
    drop(stream);
    assert!(is_open(&mut lab.connect().await).await);
    lab.tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn peers_that_are_not_allowed_are_not_answered() {
    let lab = Lab::start(|c| {
        let allow = [("10.1.2.3", "")];
        let mut resolve = |_: &str| Vec::new();
        c.framework.allow_hosts =
            fdfs_core::config::AllowHosts::parse(&allow, &mut resolve).unwrap().0;
    });
    let mut stream = lab.connect().await;
    let _ = stream.write_all(&frame(Command::ACTIVE_TEST, &[])).await;
    assert!(is_closed_silently(&mut stream).await);
    lab.tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_cluster_survives_a_restart_and_storages_follow_their_connections() {
    let lab = Lab::start(|_| {});
    let addr = lab.tracker.addr();
    let (mut storage, mut told) = join(addr, 23000).await;
    let mut client = lab.connect().await;
    let (status, target) = call(&mut client, Command::QUERY_STORE, ()).await;
    assert_eq!((status, target.len(), &target[16..25]), (0, 40, &b"127.0.0.1"[..]));
    until("leads itself", || lab.tracker.is_leader()).await;
    let (_, leader) = call(&mut client, Command::GET_LEADER, ()).await;
    assert_eq!(String::from_utf8(leader).unwrap(), addr.to_string());
    let (_, changes) = call(&mut storage, Command::STORAGE_BEAT, ()).await;
    told |= changes[0];
    assert_eq!(told, 5, "leader and storages");
    until("saved", || lab.file("storage_servers_new.dat").contains("storage_count=1")).await;
    until("status", || lab.file(".tracker_status").contains("last_check_time=")).await;

    storage.write_all(&frame(Command::QUIT, &[])).await.unwrap();
    assert!(is_closed_silently(&mut storage).await);
    let mut gone = false;
    for _ in 0..500 {
        gone = call(&mut client, Command::QUERY_STORE, ()).await.0 == 2;
        if gone {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(gone, "a closed connection is an offline storage");

    let Lab { tracker, dir } = lab;
    tracker.shutdown().await.unwrap();
    let tracker = RunningTracker::start(config(dir.path())).unwrap();
    let mut client = TcpStream::connect(tracker.addr()).await.unwrap();
    let all = GroupMember { group: "group1".try_into().unwrap(), id: "".try_into().unwrap() };
    let (_, list) = call(&mut client, Command::LIST_STORAGES, all).await;
    let list = StorageList::decode(&list).unwrap().storages;
    assert_eq!((list.len(), list[0].status, list[0].free_mb), (1, 5, 900));
    tracker.shutdown().await.unwrap();
}

/// Answers every request with this body.
async fn fake_storage(listener: TcpListener, body: Vec<u8>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let body = body.clone();
        tokio::spawn(async move {
            let mut header = [0; 10];
            while stream.read_exact(&mut header).await.is_ok() {
                assert_eq!(header[8], Command::TRUNK_GET_BINLOG_SIZE.0);
                let mut packet = Header::request(Command::RESPONSE, body.len() as u64).encode();
                packet[9] = 0;
                stream.write_all(&[&packet[..], &body].concat()).await.unwrap();
            }
        });
    }
}

#[tokio::test]
async fn a_trunk_server_is_asked_for_and_announced() {
    let lab = Lab::start(|c| c.params.use_trunk_file = true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(fake_storage(listener, 7i64.to_be_bytes().to_vec()));
    let (mut storage, mut told) = join(lab.tracker.addr(), port).await;
    until("saved", || lab.file("storage_groups_new.dat").contains("trunk_server=127.0.0.1\n"))
        .await;
    for _ in 0..500 {
        let (_, changes) = call(&mut storage, Command::STORAGE_BEAT, ()).await;
        told |= changes[0];
        if told & 2 != 0 {
            break;
        }
    }
    assert_eq!(told, 7, "leader, trunk server and storages");
    let wish = GroupMember { group: "group1".try_into().unwrap(), id: "".try_into().unwrap() };
    let (status, id) = call(&mut storage, Command::SET_TRUNK_SERVER, wish).await;
    assert_eq!((status, id), (0, b"127.0.0.1\0".to_vec()));
    lab.tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_written_do_not_stop_queries() {
    let lab = Lab::start(|_| {});
    let data = lab.dir.path().join("data");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, b"in the way").unwrap();
    let (mut storage, _) = join(lab.tracker.addr(), 23000).await;
    for _ in 0..20 {
        assert_eq!(call(&mut storage, Command::QUERY_STORE, ()).await.0, 0);
    }
    std::fs::remove_file(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    until("saved later", || lab.file("storage_servers_new.dat").contains("storage_count=1")).await;
    let Lab { tracker, dir: _dir } = lab;
    tracker.shutdown().await.unwrap();
}

/// Many trackers in one process share nothing.
#[tokio::test]
async fn trackers_in_one_process_do_not_know_each_other() {
    let (a, b) = (Lab::start(|_| {}), Lab::start(|_| {}));
    let _storage = join(a.tracker.addr(), 23000).await;
    let mut client = b.connect().await;
    assert_eq!(call(&mut client, Command::QUERY_STORE, ()).await.0, 2);
    let mut client = a.connect().await;
    assert_eq!(call(&mut client, Command::QUERY_STORE, ()).await.0, 0);
    a.tracker.shutdown().await.unwrap();
    b.tracker.shutdown().await.unwrap();
}
