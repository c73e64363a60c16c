//! Who is sent to: a sender for each peer, as long as it is one.

use super::peer::Sender;
use crate::storage::config::StorageConfig;
use crate::storage::link::{Link, connect_options};
use fdfs_core::net::ConnectOptions;
use fdfs_core::protocol::{StorageId, StorageStatus};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What senders are told by the configuration.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Settings {
    pub(super) connect: ConnectOptions,
    pub(super) threads_max: usize,
    pub(super) interval: Duration,
    /// Seconds of the day between which changes are sent.
    pub(super) window: Option<(u32, u32)>,
    pub(super) heart_beat_interval: Duration,
    pub(super) records_per_mark: u64,
    pub(super) port: u16,
}

impl Settings {
    pub(in crate::storage) fn new(config: &StorageConfig, port: u16) -> Self {
        let keys = &config.keys;
        Self {
            connect: connect_options(config),
            threads_max: config.sync_threads_max,
            interval: Duration::from_millis(keys.sync_interval_ms.unsigned_abs()),
            window: config.sync_window(),
            heart_beat_interval: keys.heart_beat_interval,
            records_per_mark: keys.write_mark_file_freq as u64,
            port,
        }
    }
}

/// Runs a sender for every peer, those that come later included, until `stop` turns true.
pub(in crate::storage) async fn run_senders(
    link: Arc<Link>,
    settings: Settings,
    stop: watch::Receiver<bool>,
) {
    let mut view = link.view();
    let mut running = HashSet::new();
    let mut senders = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        let me = link.engine.identity.id;
        let peers: Vec<StorageId> = {
            let view = view.borrow_and_update();
            let wanted = |status: StorageStatus| !status.is_gone() && status != StorageStatus::NONE;
            let peers = view.peers.iter().filter(|peer| wanted(peer.status()));
            peers.map(|peer| peer.brief.id).filter(|id| *id != me).collect()
        };
        for id in peers {
            if running.insert(id) {
                let sender = Sender::new(link.clone(), settings.clone(), id, stop.clone());
                senders.spawn(sender.run());
            }
        }
        tokio::select! {
            _ = view.changed() => {}
            Some(ended) = senders.join_next() => {
                if let Ok(id) = ended {
                    running.remove(&id);
                }
            }
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    while senders.join_next().await.is_some() {}
}
