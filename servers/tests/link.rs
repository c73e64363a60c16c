//! A storage's side of the conversation with trackers, on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use fdfs_core::config::Ini;
use fdfs_core::protocol::cluster::{ChangeList, Joined};
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::{Command, Status, StorageId};
use fdfs_core::wire::Wire;
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn config(dir: &Path, ip: &str, port: u16, trackers: &[SocketAddr]) -> StorageConfig {
    let base = dir.join(ip);
    std::fs::create_dir_all(&base).unwrap();
    let trackers: String = trackers.iter().map(|t| format!("tracker_server={t}\n")).collect();
    let text = format!(
        "group_name=group1\nbase_path={}\nbind_addr={ip}\nport={port}\nheart_beat_interval=1\n\
         connect_timeout=1\nsubdir_count_per_path=2\n{trackers}",
        base.display()
    );
    let mut config = StorageConfig::from_ini(&Ini::parse(&text)).unwrap();
    // A configured 0 means the default port; tests want a free one.
    config.framework.listen[0].set_port(port);
    config
}

fn tracker(dir: &Path, addr: SocketAddr) -> RunningTracker {
    let base = dir.join("tracker");
    std::fs::create_dir_all(&base).unwrap();
    RunningTracker::start(TrackerConfig::embedded(&base, addr).unwrap()).unwrap()
}

async fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A request as a tracker sees it.
#[derive(Debug)]
struct Seen {
    conn: usize,
    from: IpAddr,
    command: Command,
    body: Vec<u8>,
}

async fn read(stream: &mut TcpStream) -> Option<(Command, Vec<u8>)> {
    let mut header = [0; 10];
    stream.read_exact(&mut header).await.ok()?;
    let header = Header::parse(header).unwrap();
    let mut body = vec![0; header.body_len as usize];
    stream.read_exact(&mut body).await.unwrap();
    Some((header.command, body))
}

/// A tracker that notes what it is asked; `refuse` are the beats, by number, that it refuses.
async fn scripted(refuse: &'static [usize]) -> (SocketAddr, mpsc::UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let beats = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for conn in 0.. {
            let (mut stream, from) = listener.accept().await.unwrap();
            let (sender, beats) = (sender.clone(), beats.clone());
            tokio::spawn(async move {
                while let Some((command, body)) = read(&mut stream).await {
                    let _ = sender.send(Seen { conn, from: from.ip(), command, body });
                    let mut status = 0;
                    let reply = match command {
                        Command::QUIT => return,
                        Command::GET_MY_IP => from.ip().to_string().into_bytes(),
                        Command::PARAMETERS => b"use_storage_id=0\n".to_vec(),
                        Command::STORAGE_JOIN => {
                            let joined = Joined { status: 0, source: StorageId::EMPTY };
                            joined.encode().to_vec()
                        }
                        Command::STORAGE_BEAT => {
                            let beat = beats.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            if refuse.contains(&beat) {
                                status = Status::EACCES.0;
                            }
                            ChangeList::default().encode().to_vec()
                        }
                        Command::REPORT_DISK_USAGE => ChangeList::default().encode().to_vec(),
                        _ => Vec::new(),
                    };
                    let reply = if status == 0 { reply } else { Vec::new() };
                    let mut header = Header::request(Command::RESPONSE, reply.len() as u64);
                    header.status = Status(status);
                    let frame = [&header.encode()[..], &reply].concat();
                    stream.write_all(&frame).await.unwrap();
                }
            });
        }
    });
    (addr, receiver)
}

/// The commands of one connection, in their order.
fn commands(seen: &[Seen], conn: usize) -> Vec<Command> {
    seen.iter().filter(|seen| seen.conn == conn).map(|seen| seen.command).collect()
}

#[tokio::test]
async fn from_the_first_question_to_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let (addr, mut requests) = scripted(&[]).await;
    let storage = RunningStorage::start(config(dir.path(), "127.0.0.2", 0, &[addr])).await.unwrap();
    timeout(PATIENCE, storage.wait_active()).await.unwrap();
    let port = storage.addr().port();
    assert_ne!(port, 0);
    storage.shutdown().await.unwrap();
    let mut seen = Vec::new();
    while let Ok(request) = requests.try_recv() {
        seen.push(request);
    }
    assert!(seen.iter().all(|seen| seen.from.to_string() == "127.0.0.2"), "client_bind");
    assert_eq!(commands(&seen, 0), [Command::GET_MY_IP, Command::QUIT]);
    assert_eq!(commands(&seen, 1), [Command::PARAMETERS, Command::QUIT]);
    let work = commands(&seen, 2);
    let first = [
        Command::STORAGE_JOIN,
        Command::SYNC_DEST_REQ,
        Command::SYNC_NOTIFY,
        Command::STORAGE_BEAT,
        Command::REPORT_DISK_USAGE,
    ];
    assert_eq!(work[..5], first);
    assert_eq!(work.last(), Some(&Command::QUIT));
    let join = seen.iter().find(|seen| seen.command == Command::STORAGE_JOIN).unwrap();
    assert_eq!(join.body[17..25], i64::from(port).to_be_bytes(), "the port that was found free");
    let flag = std::fs::read_to_string(dir.path().join("127.0.0.2/data/.data_init_flag")).unwrap();
    assert!(flag.contains("\nsync_old_done=1\n") && flag.contains("store_path_mark0="), "{flag}");
}

#[tokio::test]
async fn a_tracker_that_does_not_know_the_login_is_joined_again_soon() {
    let dir = tempfile::tempdir().unwrap();
    let (addr, mut requests) = scripted(&[0, 1]).await;
    let storage = RunningStorage::start(config(dir.path(), "127.0.0.1", 0, &[addr])).await.unwrap();
    timeout(PATIENCE, storage.wait_active()).await.unwrap();
    drop(storage);
    let mut joins = Vec::new();
    while let Ok(request) = requests.try_recv() {
        if request.command == Command::STORAGE_JOIN {
            joins.push(request.body[73]);
        }
    }
    assert_eq!(joins, [1, 0, 0], "new only once");
}

#[tokio::test]
async fn one_of_two_trackers_may_be_dead() {
    let dir = tempfile::tempdir().unwrap();
    let (alive, dead) = (free_addr().await, free_addr().await);
    let tracker = tracker(dir.path(), alive);
    let started = RunningStorage::start(config(dir.path(), "127.0.0.1", 0, &[dead, alive]));
    let storage = timeout(PATIENCE, started).await.unwrap().unwrap();
    timeout(PATIENCE, storage.wait_active()).await.unwrap();
    timeout(PATIENCE, storage.shutdown()).await.unwrap().unwrap();
    tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_storage_waits_for_its_tracker_and_the_waiting_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let addr = free_addr().await;
    let start = || RunningStorage::start(config(dir.path(), "127.0.0.1", 0, &[addr]));
    assert!(timeout(Duration::from_millis(50), start()).await.is_err(), "nobody is there");
    let waiting = tokio::spawn(start());
    let tracker = tracker(dir.path(), addr);
    let storage = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    timeout(PATIENCE, storage.wait_active()).await.unwrap();
    storage.shutdown().await.unwrap();
    tracker.shutdown().await.unwrap();
}

#[tokio::test]
async fn storages_of_a_group_learn_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let tracker = tracker(dir.path(), free_addr().await);
    let at = tracker.addr();
    let first = RunningStorage::start(config(dir.path(), "127.0.0.1", 0, &[at])).await.unwrap();
    timeout(PATIENCE, first.wait_active()).await.unwrap();
    let port = first.addr().port();
    let second = RunningStorage::start(config(dir.path(), "127.0.0.2", port, &[at])).await.unwrap();
    timeout(PATIENCE, second.wait_reported()).await.unwrap();
    for storage in [&first, &second] {
        let mut view = storage.link().view();
        let both = view.wait_for(|view| view.peers.len() == 2 && view.leader == Some(0));
        let view = timeout(PATIENCE, both).await.unwrap().unwrap().clone();
        let ids: Vec<_> = view.peers.iter().map(|peer| peer.brief.id.to_string()).collect();
        assert_eq!(ids, ["127.0.0.1", "127.0.0.2"]);
    }
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
    tracker.shutdown().await.unwrap();
}
