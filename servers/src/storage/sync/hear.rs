//! After this process was killed: what clients have changed at peers since is to be here before files
//! that may differ are sent to them whole. Otherwise these would undo it there.

use super::peer::open;
use crate::storage::engine::Engine;
use crate::storage::link::Link;
use crate::storage::link::peers::Peer;
use fdfs_core::Result;
use fdfs_core::net::ConnectOptions;
use fdfs_core::protocol::replication::ReplicationStatus;
use fdfs_core::protocol::{Command, Status, StorageId, StorageStatus};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until each peer has sent what it had for this storage, or the time is over. Peers of the
/// original do not tell.
pub(in crate::storage) async fn hear_peers(link: &Link, options: &ConnectOptions, time: Duration) {
    let (engine, view, began) = (&link.engine, link.view(), Instant::now());
    let mut heard: HashSet<StorageId> = HashSet::new();
    loop {
        let (is_reported, peers) = {
            let view = view.borrow();
            let is_asked = |peer: &Peer| {
                let id = peer.brief.id;
                id != engine.identity.id && may_have_changes(peer) && !heard.contains(&id)
            };
            let peers: Vec<Peer> =
                view.peers.iter().filter(|peer| is_asked(peer)).cloned().collect();
            (view.is_reported, peers)
        };
        let mut is_all = is_reported;
        for peer in peers {
            match has_sent_all(&peer, engine, options).await {
                Ok(true) => _ = heard.insert(peer.brief.id),
                Ok(false) => is_all = false,
                Err(error) => {
                    tracing::debug!(peer = %peer.brief.id, %error, "a peer is not heard");
                    is_all = false;
                }
            }
        }
        if is_all || began.elapsed() > time {
            return;
        }
        sleep(PAUSE).await;
    }
}

fn may_have_changes(peer: &Peer) -> bool {
    use StorageStatus as S;
    !peer.status().is_gone() && ![S::NONE, S::INIT, S::WAIT_SYNC].contains(&peer.status())
}

async fn has_sent_all(peer: &Peer, engine: &Engine, options: &ConnectOptions) -> Result<bool> {
    let mut conn = open(&peer.brief, engine, options).await?;
    match conn.call::<ReplicationStatus>(Command::REPLICATION_STATUS, &()).await {
        Ok(told) => {
            let to_me = told.peers.iter().find(|to| to.id == engine.identity.id);
            Ok(to_me.is_some_and(|to| to.lag_records == 0))
        }
        Err(error) if error.status() == Some(Status::EINVAL) => Ok(true),
        Err(error) => Err(error),
    }
}
