//! A storage and its trackers: what it asks them at start, and what it reports (spec 03 §A).

pub mod peers;
mod reporter;
mod startup;

pub use reporter::run_reporter;
pub use startup::{StartupError, ask_group, ask_ids, ask_ips, ask_own_id, ask_params, report_ip};

use super::config::StorageConfig;
use super::engine::Engine;
use super::identity::InitFlag;
use crate::daemon::ConnCounts;
use fdfs_core::config::TrackerAddr;
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::StorageStatus;
use peers::Peers;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What all reporters share.
#[derive(Debug)]
pub struct State {
    /// What the storage remembers of itself.
    pub flag: InitFlag,
    /// The group's storages.
    pub peers: Peers,
    /// By tracker: whether a join was tried.
    joined: Vec<bool>,
    /// By tracker: this storage's status there.
    statuses: Vec<Option<StorageStatus>>,
    /// The leading tracker.
    leader: Option<usize>,
}

/// The link of one storage to all its trackers.
#[derive(Debug)]
pub struct Link {
    /// The engine whose figures are reported.
    pub engine: Arc<Engine>,
    config: StorageConfig,
    port: u16,
    up_time: i64,
    counts: Arc<ConnCounts>,
    base_path: PathBuf,
    state: Mutex<State>,
    /// Only one reporter asks who sends the old files.
    asking_source: tokio::sync::Mutex<()>,
    /// Whether a tracker knows this storage's space, so that uploads can come.
    pub reported: watch::Sender<bool>,
}

impl Link {
    /// A link that is not up yet.
    pub fn new(
        engine: Arc<Engine>,
        config: StorageConfig,
        flag: InitFlag,
        port: u16,
        counts: Arc<ConnCounts>,
    ) -> Self {
        let trackers = config.trackers.len();
        Self {
            up_time: engine.now(),
            engine,
            port,
            counts,
            base_path: config.framework.base_path.clone(),
            state: Mutex::new(State {
                flag,
                peers: Peers::default(),
                joined: vec![false; trackers],
                statuses: vec![None; trackers],
                leader: None,
            }),
            config,
            asking_source: tokio::sync::Mutex::default(),
            reported: watch::Sender::new(false),
        }
    }

    /// How many trackers there are.
    pub fn tracker_count(&self) -> usize {
        self.config.trackers.len()
    }

    /// How often statistics are saved, and the binlog made durable.
    pub fn save_intervals(&self) -> (Duration, Duration) {
        let keys = &self.config.keys;
        (keys.sync_stat_file_interval, keys.sync_binlog_buff_interval)
    }

    /// The shared state; never held while waiting.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves `.data_init_flag`.
    pub fn save_flag(&self) -> io::Result<()> {
        let flag = self.state().flag.clone();
        flag.save(&self.base_path)
    }
}

/// How this storage connects to trackers.
pub fn connect_options(config: &StorageConfig) -> ConnectOptions {
    let framework = &config.framework;
    let bound = framework.listen.first().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified());
    ConnectOptions {
        connect_timeout: framework.keys.connect_timeout,
        io_timeout: framework.network_timeout,
        bind: bound.filter(|_| config.keys.client_bind),
    }
}

/// Connects to a tracker by the first of its addresses that answers.
async fn connect(tracker: &TrackerAddr, options: &ConnectOptions) -> fdfs_core::Result<Conn> {
    let mut failed = None;
    for host in &tracker.hosts {
        match Conn::connect(host, tracker.port, options).await {
            Ok(conn) => return Ok(conn),
            Err(error) => failed = Some(error),
        }
    }
    let none = || fdfs_core::Error::new(fdfs_core::ErrorKind::Config, "tracker without address");
    Err(failed.unwrap_or_else(none))
}

/// The tracker as others must write it: by address, not by name.
fn as_addresses(tracker: &TrackerAddr) -> TrackerAddr {
    let address = |host: &String| match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => crate::config_file::resolve(host)
            .first()
            .map_or_else(|| host.clone(), IpAddr::to_string),
    };
    TrackerAddr { hosts: tracker.hosts.iter().map(address).collect(), port: tracker.port }
}
