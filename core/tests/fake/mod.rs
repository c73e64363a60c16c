//! Servers that do as they are told.
#![allow(dead_code, reason = "each test file uses its part")]

use fdfs_core::client::ClientOptions;
use fdfs_core::file_id::FileId;
use fdfs_core::protocol::address::{AddrWidth, ServerAddr};
use fdfs_core::protocol::frame::Header;
use fdfs_core::protocol::storage::{FileInfo, StoredAs};
use fdfs_core::protocol::tracker::{FetchTargets, StoreTarget};
use fdfs_core::protocol::{Command, Status};
use fdfs_core::wire::Wire;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ID: &str = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml";

/// What a fake server does with a request.
pub(crate) enum Act {
    Reply(Status, Vec<u8>),
    /// Sends these bytes as they are.
    Raw(Vec<u8>),
    /// Answers and closes.
    Last(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Says nothing more.
    Hang,
}

pub(crate) fn ok(body: impl Wire) -> Act {
    Act::Reply(Status::OK, body.encode().to_vec())
}

pub(crate) fn no(status: Status) -> Act {
    Act::Reply(status, Vec::new())
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Fake {
    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests read so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub(crate) async fn asked(&self, count: usize) {
        while self.requests() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A listener on a free port, and where it is.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A reply as it goes over the wire.
pub(crate) fn packet(status: Status, body: &[u8]) -> Vec<u8> {
    [&Header::reply(status, body.len() as u64).encode()[..], body].concat()
}

/// A server that hands each request to `act`, with the number of the request on its connection.
pub(crate) async fn fake(
    act: impl Fn(Command, Vec<u8>, usize) -> Act + Send + Sync + 'static,
) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fake = Fake {
        addr: listener.local_addr().unwrap(),
        connections: Arc::default(),
        requests: Arc::default(),
    };
    let (counts, act) = (fake.clone(), Arc::new(act));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counts.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(converse(stream, counts.clone(), act.clone()));
        }
    });
    fake
}

async fn converse(
    mut stream: TcpStream,
    counts: Fake,
    act: Arc<impl Fn(Command, Vec<u8>, usize) -> Act>,
) {
    for number in 0.. {
        let mut header = [0; 10];
        if stream.read_exact(&mut header).await.is_err() {
            return;
        }
        let header = Header::parse(header).unwrap();
        let mut body = vec![0; header.body_len as usize];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        counts.requests.fetch_add(1, Ordering::SeqCst);
        match act(header.command, body, number) {
            Act::Reply(status, body) => {
                let header = Header::reply(status, body.len() as u64).encode();
                stream.write_all(&[&header[..], &body].concat()).await.unwrap();
            }
            Act::Raw(bytes) => stream.write_all(&bytes).await.unwrap(),
            Act::Last(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return;
            }
            Act::Close => return,
            Act::Hang => std::future::pending().await,
        }
    }
}

pub(crate) fn server_at(addr: SocketAddr) -> ServerAddr {
    ServerAddr { ip: addr.ip().to_string().as_str().try_into().unwrap(), port: addr.port().into() }
}

/// A tracker that sends everybody to `storage`.
pub(crate) async fn tracker_for(storage: SocketAddr, width: AddrWidth) -> Fake {
    let group = "group1".try_into().unwrap();
    let server = server_at(storage);
    fake(move |command, _, _| match command {
        Command::QUERY_STORE | Command::QUERY_STORE_GROUP => {
            ok(StoreTarget { width, group, server, store_path: 0 })
        }
        Command::QUERY_FETCH | Command::QUERY_UPDATE => {
            ok(FetchTargets { width, group, servers: vec![server] })
        }
        _ => ok(()),
    })
    .await
}

pub(crate) fn options(trackers: &[SocketAddr]) -> ClientOptions {
    let trackers: Vec<String> = trackers.iter().map(ToString::to_string).collect();
    let mut options = ClientOptions::new(trackers).unwrap();
    options.connect_timeout = Duration::from_secs(2);
    options.io_timeout = Duration::from_secs(2);
    options
}

pub(crate) fn id() -> FileId {
    ID.parse().unwrap()
}

pub(crate) fn stored() -> StoredAs {
    let (group, name) = ID.split_once('/').unwrap();
    StoredAs { group: group.try_into().unwrap(), name: name.try_into().unwrap() }
}

pub(crate) fn info(size: i64) -> FileInfo {
    let source_ip = "10.0.0.1".try_into().unwrap();
    FileInfo { width: AddrWidth::V6, size, modified: 5, crc32: 7, source_ip }
}

/// An address where nobody listens.
pub(crate) async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A server that says an upload is done before it has the content.
pub(crate) async fn hasty() -> SocketAddr {
    let (listener, addr) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 25]).await.unwrap();
        stream.write_all(&packet(Status::OK, &stored().encode())).await.unwrap();
        std::future::pending::<()>().await;
    });
    addr
}
