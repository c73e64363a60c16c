//! A member of a group that a test plays: it sees each request of a sender, and answers it as the
//! test wants.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test that cannot play fails"
)]

use crate::moving::Group;
use fdfs_core::file_id::Source;
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::cluster::{ChangeList, Join, Joined, SyncDelete, SyncFile, SyncNames};
use fdfs_core::protocol::cluster::{SyncRange, SyncSource, SyncTruncate};
use fdfs_core::protocol::frame::{HEADER_LEN, Header};
use fdfs_core::protocol::replication::{ASKS_AHEAD, BootId, GIVES_BACK, Introduced};
use fdfs_core::protocol::replication::{PeerProgress, SenderState};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::storage::{Download, FileRef};
use fdfs_core::protocol::{Command, Name, Status, StorageId};
use fdfs_core::wire::{FixedStr, Wire};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bytes received at a time.
const RECEIVED_LEN: usize = 64 << 10;

/// A request that the peer was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The number of its connection.
    pub conn: usize,
    /// Whether that had said whose it is.
    pub introduced: bool,
    /// What is to be done.
    pub command: Command,
    /// When it was done at the sender, in Unix seconds.
    pub timestamp: i32,
    /// To which file.
    pub name: String,
    /// Whether it is a change of this peer's own that it may have lost.
    pub given_back: bool,
    /// The content that came along.
    pub content: Vec<u8>,
}

/// What the peer answers: a status, and a body.
pub type Reply = (Status, Vec<u8>);

/// Decides what is answered; it is called when a request has come, and again for as long as it has
/// no answer.
pub type Rule = dyn Fn(&Seen) -> Option<Reply> + Send + Sync;

/// A member of the group; dropping it ends all its connections.
#[derive(Debug)]
pub struct FakePeer {
    seen: Arc<Mutex<Vec<Seen>>>,
    ahead_most: Arc<AtomicUsize>,
    boot: Arc<Mutex<BootId>>,
    _tasks: JoinSet<()>,
}

/// A success without body.
pub fn ok() -> Option<Reply> {
    Some((Status::OK, Vec::new()))
}

/// How far a peer says that it has brought another storage.
pub fn progress(id: &str, lag_records: i64) -> PeerProgress {
    PeerProgress {
        id: id.try_into().unwrap(),
        ip: FixedStr::EMPTY,
        port: 0,
        status: 0,
        state: SenderState::SENDING.0,
        state_since: 0,
        lag_records,
        lag_bytes: 0,
        lag_secs: 0,
        is_estimate: 0,
        binlog_index: 0,
        binlog_offset: 0,
        scanned: 0,
        sent: 0,
        damaged: 0,
        failures: 0,
        failed_at: 0,
        error: FixedStr::EMPTY,
    }
}

impl FakePeer {
    /// Joins the group as 127.0.0.`host`, as one that needs no old files.
    pub async fn join(group: &Group, host: u8, rule: Arc<Rule>) -> Self {
        Self::join_taking(group, host, 1, rule).await
    }

    /// The same as one that takes so many requests ahead of their answers.
    pub async fn join_taking(group: &Group, host: u8, ahead_max: u8, rule: Arc<Rule>) -> Self {
        let ip = Ipv4Addr::new(127, 0, 0, host);
        let listener = TcpListener::bind((ip, group.port)).await.unwrap();
        let mut tasks = JoinSet::new();
        let mut conn = introduce(group, ip).await;
        tasks.spawn(async move {
            while conn
                .call::<ChangeList>(Command::STORAGE_BEAT, &None::<StorageStats>)
                .await
                .is_ok()
            {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ahead_most = Arc::new(AtomicUsize::new(0));
        let boot: Arc<Mutex<BootId>> = Arc::default();
        let (for_conns, most, told_boot) = (seen.clone(), ahead_most.clone(), boot.clone());
        tasks.spawn(async move {
            let mut conns = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let boot = told_boot.clone();
                let conn = PeerConn { number, ip, ahead_max, boot, introduced: false };
                let (seen, rule, most) = (for_conns.clone(), rule.clone(), most.clone());
                conns.spawn(serve(stream, conn, seen, rule, most));
            }
        });
        Self { seen, ahead_most, boot, _tasks: tasks }
    }

    /// From now on it says that its machine was started with this id.
    pub fn set_boot(&self, boot: &str) {
        *self.boot.lock().unwrap() = boot.try_into().unwrap();
    }

    /// The most requests that came together.
    pub fn ahead_most(&self) -> usize {
        self.ahead_most.load(Ordering::Relaxed)
    }

    /// All requests of replication so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The times of the changes so far.
    pub fn times(&self) -> Vec<i32> {
        self.seen().iter().map(|seen| seen.timestamp).collect()
    }
}

/// Joins as a storage without old files to wait for.
async fn introduce(group: &Group, ip: Ipv4Addr) -> Conn {
    let options = ConnectOptions {
        connect_timeout: Duration::from_secs(5),
        io_timeout: Duration::from_secs(20),
        bind: Some(IpAddr::V4(ip)),
    };
    let tracker = group.tracker.addr();
    let mut conn =
        Conn::connect(&tracker.ip().to_string(), tracker.port(), &options).await.unwrap();
    let join = Join {
        group: "group1".try_into().unwrap(),
        port: group.port.into(),
        store_path_count: 1,
        subdir_count_per_path: 16,
        upload_priority: 10,
        join_time: 1,
        up_time: 1,
        version: FixedStr::truncated(b"6.16.1"),
        init_flag: 1,
        status: 0,
        id: StorageId::EMPTY,
        tracker_ip: FixedStr::truncated(tracker.ip().to_string().as_bytes()),
        trackers: vec![tracker.to_string().as_str().try_into().unwrap()],
    };
    conn.call::<Joined>(Command::STORAGE_JOIN, &join).await.unwrap();
    let nobody = SyncSource { id: StorageId::EMPTY, until: 0 };
    conn.call::<()>(Command::SYNC_NOTIFY, &nobody).await.unwrap();
    conn
}

/// One connection of the sender.
struct PeerConn {
    number: usize,
    ip: Ipv4Addr,
    ahead_max: u8,
    boot: Arc<Mutex<BootId>>,
    introduced: bool,
}

impl PeerConn {
    /// What is answered to a request; one of replication is noted.
    async fn reply(
        &mut self,
        header: Header,
        body: &[u8],
        all: &Mutex<Vec<Seen>>,
        rule: &Rule,
    ) -> Reply {
        if header.command == Command::REPORT_SERVER_ID {
            self.introduced = true;
            let takes_ahead = self.ahead_max > 1 && header.status.0 == ASKS_AHEAD;
            let (ahead_max, boot) = (self.ahead_max, *self.boot.lock().unwrap());
            let source = Source::Ip(self.ip);
            let told = takes_ahead.then_some(Introduced { ahead_max, boot, is_unsure: 0, source });
            return (Status::OK, told.encode().to_vec());
        }
        if header.command == Command::ACTIVE_TEST {
            return (Status::OK, Vec::new());
        }
        let (timestamp, name, content) = parts(header.command, body);
        let (conn, introduced, command) = (self.number, self.introduced, header.command);
        let given_back = command.is_replication() && header.status.0 == GIVES_BACK;
        let seen = Seen { conn, introduced, command, timestamp, name, given_back, content };
        if command.is_replication() {
            all.lock().unwrap().push(seen.clone());
        }
        loop {
            match rule(&seen) {
                Some(reply) => return reply,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

/// Reads the requests of one connection and answers them, those that came together at once.
async fn serve(
    mut stream: TcpStream,
    mut conn: PeerConn,
    all: Arc<Mutex<Vec<Seen>>>,
    rule: Arc<Rule>,
    ahead_most: Arc<AtomicUsize>,
) {
    let mut received = Vec::with_capacity(RECEIVED_LEN);
    loop {
        received.reserve(RECEIVED_LEN);
        if !matches!(stream.read_buf(&mut received).await, Ok(1..)) {
            return;
        }
        let (mut answers, mut count, mut rest) = (Vec::new(), 0, &received[..]);
        while let Some((header, body)) = rest.split_first_chunk::<HEADER_LEN>() {
            let header = Header::parse(*header).unwrap();
            let body_len = usize::try_from(header.body_len).unwrap();
            let Some(request) = body.get(..body_len) else { break };
            rest = &body[body_len..];
            let (status, reply) = conn.reply(header, request, &all, &*rule).await;
            answers.extend(Header::reply(status, reply.len() as u64).encode());
            answers.extend(reply);
            count += 1;
        }
        let used = received.len() - rest.len();
        received.drain(..used);
        ahead_most.fetch_max(count, Ordering::Relaxed);
        if stream.write_all(&answers).await.is_err() {
            return;
        }
    }
}

/// Time, name and content of a request.
fn parts(command: Command, body: &[u8]) -> (i32, String, Vec<u8>) {
    let head_len = command.stream_head().map_or(body.len(), |head| {
        let name_len = u64::from_be_bytes(body[..8].try_into().unwrap());
        head.fixed + usize::try_from(name_len).unwrap()
    });
    let (head, content) = body.split_at(head_len);
    let (timestamp, name) = match command {
        Command::SYNC_CREATE_FILE | Command::SYNC_UPDATE_FILE => {
            let head = SyncFile::decode(head).unwrap();
            (head.timestamp, head.name)
        }
        Command::SYNC_APPEND_FILE | Command::SYNC_MODIFY_FILE => {
            let head = SyncRange::decode(head).unwrap();
            (head.timestamp, head.name)
        }
        Command::SYNC_DELETE_FILE => {
            let head = SyncDelete::decode(head).unwrap();
            (head.timestamp, head.name)
        }
        Command::SYNC_RENAME_FILE | Command::SYNC_CREATE_LINK => {
            let head = SyncNames::decode(head).unwrap();
            (head.timestamp, head.name)
        }
        Command::SYNC_TRUNCATE_FILE => {
            let head = SyncTruncate::decode(head).unwrap();
            (head.timestamp, head.name)
        }
        Command::REPLICATION_STATUS => (0, Name::EMPTY),
        Command::DOWNLOAD_FILE => (0, Download::decode(head).unwrap().name),
        _ => (0, FileRef::decode(head).unwrap().name),
    };
    (timestamp, name.to_string(), content.to_vec())
}
