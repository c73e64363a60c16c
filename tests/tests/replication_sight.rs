//! What a storage tells of its replication.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::client::ServerAddress;
use fdfs_core::protocol::replication::{PeerProgress, SenderState};
use fdfs_core::protocol::{Command, Status, StorageStatus};
use fdfs_servers::storage::RunningStorage;
use fdfs_tests::moving::{Group, PATIENCE};
use fdfs_tests::raw::{Answer, Raw};
use std::time::{Duration, Instant};

/// What the storage tells of its only peer, asked as an operator asks.
async fn peer(group: &Group, storage: &RunningStorage) -> Option<PeerProgress> {
    let address = ServerAddress { host: storage.addr().ip().to_string(), port: group.port };
    let told = group.client().replication_status(&address).await.unwrap().unwrap();
    assert!(told.peers.len() < 2, "{told:?}");
    told.peers.into_iter().next()
}

/// Waits until it tells that.
async fn wait_peer(
    group: &Group,
    storage: &RunningStorage,
    is_so: impl Fn(&PeerProgress) -> bool,
) -> PeerProgress {
    let began = Instant::now();
    loop {
        let peer = peer(group, storage).await;
        match peer {
            Some(peer) if is_so(&peer) => return peer,
            peer => assert!(began.elapsed() < PATIENCE, "{peer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_lacks_is_told_while_it_is_away_and_after_a_restart() {
    let group = Group::new();
    let first = group.active_storage(1, "s1").await;
    let second = group.active_storage(2, "s2").await;
    let ids = group.upload(6).await;
    group.wait_files("s2", &ids).await;
    let idle = |peer: &PeerProgress| peer.state() == SenderState::IDLE && peer.lag_records == 0;
    let peer = wait_peer(&group, &first, idle).await;
    assert_eq!((peer.id.to_string(), peer.port), ("127.0.0.2".into(), i32::from(group.port)));
    assert_eq!((peer.lag_bytes, peer.lag_secs, peer.is_estimate, peer.damaged), (0, 0, 0, 0));
    assert_eq!((peer.status(), peer.reason()), (StorageStatus::ACTIVE, None));
    assert!(peer.sent > 0 && peer.scanned >= peer.sent, "{peer:?}");

    second.shutdown().await.unwrap();
    group.wait_status(2, StorageStatus::OFFLINE).await;
    let missed = group.upload(5).await;
    let behind = |peer: &PeerProgress| {
        peer.lag_records == 5 && peer.lag_bytes > 0 && peer.status() == StorageStatus::OFFLINE
    };
    let peer = wait_peer(&group, &first, behind).await;
    assert_ne!(peer.state(), SenderState::IDLE, "{peer:?}");
    assert!(peer.reason().is_some(), "{peer:?}");
    first.shutdown().await.unwrap();
    let first = group.active_storage(1, "s1").await;
    let away = |peer: &PeerProgress| behind(peer) && peer.state() == SenderState::WAITING;
    let peer = wait_peer(&group, &first, away).await;
    assert_eq!(peer.reason().unwrap(), "the peer is OFFLINE");
    let own = first.replication().await;
    assert_eq!(own.peers.len(), 1, "the storage knows the same of itself");

    let second = group.active_storage(2, "s2").await;
    group.wait_files("s2", &missed).await;
    wait_peer(&group, &first, idle).await;
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_has_no_body() {
    let group = Group::new();
    let storage = group.active_storage(1, "s1").await;
    let addr = storage.addr();
    let answers = tokio::task::spawn_blocking(move || {
        let mut raw = Raw::connect(addr);
        let told = raw.call(Command::REPLICATION_STATUS, &[]);
        (told, raw.call(Command::REPLICATION_STATUS, &[0]), raw.is_alive())
    });
    let (told, refused, alive) = answers.await.unwrap();
    assert_eq!(told.body().len(), 16, "no peers");
    assert_eq!((refused, alive), (Answer::Reply(Status::EINVAL, Vec::new()), false));
    storage.shutdown().await.unwrap();
}
