//! A storage and its trackers (spec 03 §A).
//!
//! [`startup`] asks what a storage must know before it can serve. Then one [`reporter`] per tracker
//! joins and reports; it decides without sockets or clock, and [`io`] acts for it. What they learn
//! is kept in [`shared`]: the group's [`peers`], and how this storage stands at each tracker.
//! Others look at it through [`Link::view`].

mod changelog;
mod io;
pub mod peers;
pub mod reporter;
pub mod shared;
pub mod startup;

pub use changelog::{Departure, departures};
pub use io::run_reporter;
pub use startup::StartupError;

use super::config::StorageConfig;
use super::engine::Engine;
use super::identity::InitFlag;
use crate::daemon::{ConnCounts, blocking};
use fdfs_core::config::TrackerAddr;
use fdfs_core::net::ConnectOptions;
use fdfs_core::net::world::lookup_host;
use fdfs_core::protocol::Command;
use fdfs_core::protocol::cluster::StatusReport;
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::Brief;
use peers::Peer;
use reporter::Figures;
use shared::{Profile, Shared};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Tries to tell one tracker a peer's status, and the pause between them (spec 03 §A12).
const STATUS_TRIES: usize = 3;
const STATUS_TRY_PAUSE: Duration = Duration::from_secs(5);

/// What is known of the group; replication follows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The group's storages, this one included, in the order they became known.
    pub peers: Vec<Peer>,
    /// Index of the leading tracker.
    pub leader: Option<usize>,
    /// The group's trunk server.
    pub trunk_server: Option<Brief>,
    /// Peers deleted or moved lately, the newest last: their marks are obsolete.
    pub departures: Vec<Departure>,
    /// How many departures there have been; only the last of them are kept.
    pub departed: u64,
    /// Whether a tracker sends clients here.
    pub is_active: bool,
    /// Whether a tracker knows this storage and its free space.
    pub is_reported: bool,
}

impl View {
    /// The departures after the first `count` ones, as far as they are kept.
    pub fn departed_since(&self, count: u64) -> &[Departure] {
        let fresh = usize::try_from(self.departed.saturating_sub(count)).unwrap_or(usize::MAX);
        let start = self.departures.len().saturating_sub(fresh);
        self.departures.get(start..).unwrap_or_default()
    }

    /// The address by which a storage was last known.
    pub fn ip_of(&self, id: &str) -> Option<String> {
        let peer = self.peers.iter().find(|peer| peer.brief.id.to_string() == id)?;
        Some(peer.brief.ip.to_string())
    }
}

/// The link of one storage to all its trackers.
#[derive(Debug)]
pub struct Link {
    /// The engine whose figures are reported.
    pub engine: Arc<Engine>,
    config: StorageConfig,
    profile: Arc<Profile>,
    counts: Arc<ConnCounts>,
    base_path: PathBuf,
    shared: Mutex<Shared>,
    /// Saves of `.data_init_flag` happen one after the other, the newest last.
    saving: tokio::sync::Mutex<()>,
    view: watch::Sender<View>,
}

impl Link {
    /// A link that is not up yet. `ip` is this storage's first address, `trackers` are those of the
    /// configuration by address.
    pub fn new(
        engine: Arc<Engine>,
        config: StorageConfig,
        flag: InitFlag,
        trackers: Vec<TrackerAddr>,
        (ip, port): (String, u16),
        counts: Arc<ConnCounts>,
    ) -> Self {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let keys = &config.keys;
        let profile = Profile {
            group: engine.identity.group,
            id: engine.identity.id,
            ip,
            use_ids: engine.params.use_storage_id,
            port,
            store_path_count: count(config.store_paths.len()),
            subdir_count_per_path: count(keys.subdir_count_per_path),
            upload_priority: keys.upload_priority,
            up_time: engine.now(),
            follows_changelog: engine.params.storage_ip_changed_auto_adjust,
            heart_beat_interval: keys.heart_beat_interval,
            stat_report_interval: keys.stat_report_interval,
        };
        Self {
            engine,
            profile: Arc::new(profile),
            counts,
            base_path: config.framework.base_path.clone(),
            shared: Mutex::new(Shared::new(flag, trackers)),
            config,
            saving: tokio::sync::Mutex::default(),
            view: watch::Sender::default(),
        }
    }

    /// How many trackers there are.
    pub fn tracker_count(&self) -> usize {
        self.config.trackers.len()
    }

    /// The shared state; never held while waiting. Call [`Link::publish`] after changing it.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the group, now and whenever it changes.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Shows the shared state to those who follow it, and saves what must survive. A failure to
    /// save is logged and tried again with the next step of any reporter.
    pub async fn publish(&self) {
        self.view.send_if_modified(|known| {
            let shared = self.shared();
            let view = View {
                peers: shared.peers.entries().to_vec(),
                leader: shared.peers.leader(),
                trunk_server: shared.peers.trunk_server().cloned(),
                departures: shared.departures().to_vec(),
                departed: shared.departed(),
                is_active: shared.is_active(),
                is_reported: shared.is_reported(),
            };
            let changed = *known != view;
            *known = view;
            changed
        });
        if !self.shared().is_flag_changed() {
            return;
        }
        let _in_order = self.saving.lock().await;
        let Some(flag) = self.shared().take_changed_flag() else { return };
        let base_path = self.base_path.clone();
        let saved = blocking(move || flag.save(&base_path)).await;
        if let Err(error) = saved.map_err(std::io::Error::other).and_then(|saved| saved) {
            tracing::error!(%error, path = %self.base_path.display(),
                "cannot save data/.data_init_flag, trying again");
            self.shared().flag_not_saved();
        }
    }

    /// Tells every tracker a peer's status, or this storage's own; one that hears it is enough
    /// (spec 03 §A12). Used by who sends old files, and by disk recovery.
    pub async fn report_status(&self, mut storage: Brief) -> fdfs_core::Result<()> {
        storage.port = 0;
        let request = StatusReport { group: self.profile.group, storage };
        let (mut heard, mut failed) = (false, None);
        for tracker in &self.config.trackers {
            for left in (0..STATUS_TRIES).rev() {
                match self.ask::<()>(tracker, Command::REPORT_STATUS, &request).await {
                    Ok(()) => {
                        heard = true;
                        break;
                    }
                    Err(error) => {
                        let refused = error.status().is_some();
                        failed = Some(error);
                        if refused || left == 0 {
                            break;
                        }
                        tokio::time::sleep(STATUS_TRY_PAUSE).await;
                    }
                }
            }
        }
        match failed {
            Some(error) if !heard => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads what is new in the change log of every tracker, and follows it.
    pub async fn read_changelog(&self) {
        let (group, id) = (self.profile.group, self.profile.id);
        let logs = startup::read_changelogs(&self.config, group, id).await;
        let group = group.to_string();
        for departure in logs.iter().flat_map(|log| departures(log, &group)) {
            self.shared().depart(departure, self.profile.use_ids);
        }
        self.publish().await;
    }

    /// Whether a storage without a mark may be one that was known by another address.
    pub fn follows_moves(&self) -> bool {
        self.profile.follows_changelog && !self.profile.use_ids
    }

    /// Asks one tracker on a connection of its own.
    pub async fn ask<R: fdfs_core::wire::Wire>(
        &self,
        tracker: &TrackerAddr,
        command: Command,
        request: &impl fdfs_core::wire::Wire,
    ) -> fdfs_core::Result<R> {
        startup::ask_once(&self.config, tracker, command, request).await
    }
}

impl Figures for Link {
    fn changes(&self) -> u64 {
        self.engine.stats.changes()
    }

    fn stats(&self) -> StorageStats {
        let mut stats = self.engine.stats.snapshot();
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        stats.connection_alloc_count = count(self.counts.max());
        stats.connection_current_count = count(self.counts.current());
        stats.connection_max_count = count(self.counts.max());
        stats
    }
}

/// How this storage connects to trackers: from its own address when it is bound to one, because
/// trackers know a storage by the address it comes from (spec 06 §4 `client_bind`).
pub fn connect_options(config: &StorageConfig) -> ConnectOptions {
    let framework = &config.framework;
    let bound = framework.listen.first().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified());
    ConnectOptions {
        connect_timeout: framework.keys.connect_timeout,
        io_timeout: framework.network_timeout,
        bind: bound.filter(|_| config.keys.client_bind),
    }
}

/// The tracker as others must write it: by address, not by name. A name that cannot be resolved
/// now stays.
pub async fn by_address(tracker: &TrackerAddr) -> TrackerAddr {
    let mut hosts = Vec::new();
    for host in &tracker.hosts {
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => Some(ip),
            Err(_) => match lookup_host((host.as_str(), tracker.port)).await {
                Ok(mut addrs) => addrs.next().map(|addr| addr.ip()),
                Err(_) => None,
            },
        };
        hosts.push(ip.map_or_else(|| host.clone(), |ip| ip.to_string()));
    }
    TrackerAddr { hosts, port: tracker.port }
}
