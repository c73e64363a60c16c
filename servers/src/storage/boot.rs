//! Starting and stopping a storage (spec 03 §A1, 04 Part C).

use super::config::StorageConfig;
use super::daily::compress_daily;
use super::engine::{Engine, Identity};
use super::identity::{InitFlag, MarkMaker};
use super::link::{
    Departure, Link, StartupError, by_address, connect_options, departures, run_reporter, startup,
};
use super::orphans::{Suspects, check};
use super::running_mark::{Left, RunningMark};
use super::sync::hear::hear_peers;
use super::sync::mark::{follow_port, stay_within};
use super::sync::progress;
use super::sync::senders::{Settings, run_senders};
use super::{World, serve, unrecorded};
use crate::daemon::{ConnLimits, Server, ServerOptions, bind_all, blocking};
use fdfs_core::config::{ClusterParams, IdType, StorageIds};
use fdfs_core::file_id::{Source, short_code};
use fdfs_core::net::ConnectOptions;
use fdfs_core::net::world::TcpListener;
use fdfs_core::protocol::replication::{ReplicationStatus, SenderState};
use fdfs_core::protocol::{Group, StorageId};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Longest time that saying goodbye to the trackers may take.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);

/// After the last run's files could not be checked; and how long peers wait for that, and are waited
/// for.
const CHECK_PAUSE: Duration = Duration::from_secs(1);
const UNCHECKED_TIME_MAX: Duration = Duration::from_secs(60);

/// Between looks at which peers lag behind.
const LAG_LOG_INTERVAL: Duration = Duration::from_secs(300);
/// Lags shorter than this are not written into the log.
const LAG_LOGGED_SECS_MIN: i64 = 60;

/// A storage at work; dropping it ends it at once.
#[derive(Debug)]
pub struct RunningStorage {
    server: Server,
    link: Arc<Link>,
    reporters: JoinSet<()>,
    senders: JoinSet<()>,
    jobs: JoinSet<()>,
    stop: watch::Sender<bool>,
    mark: RunningMark,
    /// Between saves of the statistics, and between syncs of the binlog.
    save_intervals: (Duration, Duration),
    /// The second of the day at which old binlog files are compressed.
    compress_at: Option<u32>,
}

impl RunningStorage {
    /// Starts a storage. Waits for a tracker as long as it takes; dropping the future gives up.
    ///
    /// The order is that of the original: who am I, are the store paths mine, what has the cluster
    /// agreed on, and only then are files touched and connections taken.
    pub async fn start(config: StorageConfig) -> Result<Self, StartupError> {
        Self::start_in(World::real(None)?, config).await
    }

    /// The same with another disk or clock, or in a runtime with a worker to spare.
    pub async fn start_in(world: World, config: StorageConfig) -> Result<Self, StartupError> {
        let base_path = config.framework.base_path.clone();
        std::fs::create_dir_all(base_path.join("data"))?;
        // A free port is only known once it is bound, and trackers are told the port first thing.
        let bound = bind_all(&config.framework.listen)?;
        let port = bound.first().map_or(Ok(0), |bound| bound.local_addr().map(|a| a.port()))?;
        let group = match &config.group {
            Some(group) => group.clone(),
            None => startup::ask_group(&config, port).await?,
        };
        let ips = startup::ask_ips(&config, &group, port).await?;
        let own_ip = ips.first().cloned().unwrap_or_default();
        let mut flag = load_flag(&config, &ips, port, world.clock.unix_secs())?;
        let params = startup::ask_params(&config).await?;
        if params.use_trunk_file {
            tracing::warn!("use_trunk_file is on: this server still stores each file on its own");
        }
        let ids = match params.use_storage_id {
            true => startup::ask_ids(&config).await?,
            false => StorageIds::default(),
        };
        let identity = identify(&config, &params, &ids, &group, &own_ip, port).await?;
        if params.use_storage_id {
            convert_source(&config, &group, &mut flag, port).await?;
        }
        let departures = follow_ip_change(&config, &params, identity.group, &flag, &own_ip).await;
        if !params.use_storage_id && flag.last_port != port {
            follow_port(&base_path.join("data/sync"), flag.last_port, port)?;
        }
        (flag.last_ips, flag.last_port) = (ips.join(","), port);
        flag.save(&base_path)?;
        let engine = Arc::new(Engine::open(&config, identity, params, ids, world)?);
        stay_within(engine.binlog.dir(), *engine.binlog.written().borrow())?;
        let (mark, Left { suspects, unsure_until }) =
            RunningMark::set(&base_path, &engine.boot.to_string())?;
        engine.checked.send_replace(suspects.is_none());
        engine.be_unsure_until(unsure_until);
        let mut trackers = Vec::new();
        for tracker in &config.trackers {
            trackers.push(by_address(tracker).await);
        }
        let keys = &config.keys;
        let save_intervals = (keys.sync_stat_file_interval, keys.sync_binlog_buff_interval);
        let compress_at = keys.compress_binlog.then_some(keys.compress_binlog_time);
        let server = serve_on(bound, &config, &engine);
        let (senders, connect) = (Settings::new(&config, &engine, port), connect_options(&config));
        let link = Link::new(engine, config, flag, trackers, (own_ip, port), server.counts());
        for departure in departures {
            link.shared().depart(departure, false);
        }
        let mut running = Self {
            server,
            link: Arc::new(link),
            reporters: JoinSet::new(),
            senders: JoinSet::new(),
            jobs: JoinSet::new(),
            stop: watch::Sender::new(false),
            mark,
            save_intervals,
            compress_at,
        };
        running.start_jobs(connect, suspects);
        let sending = run_senders(running.link.clone(), senders, running.stop.subscribe());
        running.senders.spawn(sending);
        Ok(running)
    }

    fn start_jobs(&mut self, connect: ConnectOptions, suspects: Option<Suspects>) {
        for index in 0..self.link.tracker_count() {
            self.reporters.spawn(run_reporter(self.link.clone(), index, self.stop.subscribe()));
        }
        let (stat_interval, sync_interval) = self.save_intervals;
        let engine = self.link.engine.clone();
        self.jobs.spawn(repeat(stat_interval, move || {
            engine.save_stats().unwrap_or_else(|error| {
                tracing::error!(%error, "cannot save storage_stat.dat");
            });
        }));
        let engine = self.link.engine.clone();
        self.jobs.spawn(repeat(sync_interval, move || {
            engine.binlog.sync().unwrap_or_else(|error| {
                tracing::error!(%error, "cannot sync the binlog");
            });
        }));
        if let Some(at) = self.compress_at {
            let (engine, stop) = (self.link.engine.clone(), self.stop.subscribe());
            self.jobs.spawn(compress_daily(engine, at, stop));
        }
        self.jobs.spawn(log_lags(self.link.engine.clone()));
        if let Some(suspects) = suspects {
            let (link, mark) = (self.link.clone(), self.mark.clone());
            self.jobs.spawn(check_last_run(link, connect, mark, suspects));
        }
    }

    /// The address listened on.
    pub fn addr(&self) -> SocketAddr {
        self.server.addrs().first().copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into())
    }

    /// The engine, for looking at it.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.link.engine
    }

    /// The link to the trackers: what is known of the group, and what they are told.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// How far this storage has brought its peers.
    pub async fn replication(&self) -> ReplicationStatus {
        progress::status(&self.link.engine).await
    }

    /// Waits until a tracker sends clients here. A new storage of a group with files becomes
    /// active only when its source has sent them.
    pub async fn wait_active(&self) {
        // The sender lives as long as the link.
        let _ = self.link.view().wait_for(|view| view.is_active).await;
    }

    /// Waits until a tracker knows this storage and its free space, whatever status it gives it.
    pub async fn wait_reported(&self) {
        let _ = self.link.view().wait_for(|view| view.is_reported).await;
    }

    /// Leaves the trackers, so that no more clients come; then stops accepting, finishes requests
    /// under way and saves all state.
    pub async fn shutdown(mut self) -> std::io::Result<()> {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(LEAVE_TIME_MAX, async {
            while self.reporters.join_next().await.is_some() {}
            while self.senders.join_next().await.is_some() {}
        })
        .await;
        self.reporters.shutdown().await;
        self.senders.shutdown().await;
        self.server.shutdown().await;
        self.jobs.shutdown().await;
        let (engine, mark) = (self.link.engine.clone(), self.mark);
        let saved = blocking(move || {
            engine.binlog.sync()?;
            engine.save_stats()?;
            mark.stopped()
        });
        saved.await.map_err(std::io::Error::other)?
    }
}

/// Checks the files that the last run left, and records what it had not. A disk that is full may have
/// room later; peers do not wait for ever for that.
async fn check_last_run(
    link: Arc<Link>,
    connect: ConnectOptions,
    mark: RunningMark,
    suspects: Suspects,
) {
    let engine = &link.engine;
    let for_work = engine.clone();
    let work = move || {
        // What is damaged is set aside before the rest is recorded.
        check(&for_work, suspects)?;
        unrecorded::add(&for_work, suspects)
    };
    let let_peers_in = || _ = engine.checked.send_replace(true);
    let doubtful = until_done(work, let_peers_in).await;
    let_peers_in();
    let Some(doubtful) = doubtful else { return };
    if !doubtful.is_empty() {
        hear_peers(&link, &connect, UNCHECKED_TIME_MAX).await;
    }
    let for_work = engine.clone();
    let work = move || {
        unrecorded::add_whole(&for_work, &doubtful)?;
        mark.checked(for_work.unsure_until())
    };
    if until_done(work, || {}).await.is_some() {
        tracing::info!("checked the files of the last run");
    }
}

/// Does file work that may fail, until it does not; calls `is_late` when that takes long. `None` after
/// a panic, which was logged by the runtime.
async fn until_done<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Clone + Send + 'static,
    is_late: impl Fn(),
) -> Option<T> {
    let began = Instant::now();
    loop {
        match blocking(work.clone()).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot check the last run's files, trying again");
            }
            Err(_) => return None,
        }
        let mut pause = CHECK_PAUSE;
        if began.elapsed() > UNCHECKED_TIME_MAX {
            is_late();
            pause = UNCHECKED_TIME_MAX;
        }
        sleep(pause).await;
    }
}

/// Runs file work at intervals, off the connections' threads.
async fn repeat(interval: Duration, work: impl Fn() + Clone + Send + 'static) {
    let mut interval = tokio::time::interval(interval);
    interval.tick().await;
    loop {
        interval.tick().await;
        // A panic in there was logged by the runtime; the next round tries again.
        let _ = blocking(work.clone()).await;
    }
}

/// Writes into the log which peers lag behind.
async fn log_lags(engine: Arc<Engine>) {
    let mut interval = tokio::time::interval(LAG_LOG_INTERVAL);
    interval.tick().await;
    loop {
        interval.tick().await;
        for peer in progress::status(&engine).await.peers {
            if peer.state() != SenderState::FAILED && peer.lag_secs < LAG_LOGGED_SECS_MIN {
                continue;
            }
            tracing::warn!(peer = %peer.id, state = %peer.state(),
                reason = peer.reason().unwrap_or_default(), records = peer.lag_records,
                bytes = peer.lag_bytes, secs = peer.lag_secs, damaged = peer.damaged,
                "a peer lags behind");
        }
    }
}

fn serve_on(bound: Vec<TcpListener>, config: &StorageConfig, engine: &Arc<Engine>) -> Server {
    let framework = &config.framework;
    let allow_hosts = framework.allow_hosts.clone();
    let options = ServerOptions {
        addrs: framework.listen.clone(),
        connections_max: framework.keys.max_connections,
        limits: ConnLimits::new(framework.message_len_max(), framework.network_timeout),
        allow: Arc::new(move |ip| allow_hosts.allows(ip)),
    };
    let engine = engine.clone();
    Server::serve(bound, &options, move |conn| serve(engine.clone(), conn))
}

/// What this storage remembers of itself, once the store paths are known to be its own.
fn load_flag(
    config: &StorageConfig,
    ips: &[String],
    port: u16,
    now: i64,
) -> Result<InitFlag, StartupError> {
    let base_path = &config.framework.base_path;
    let known = InitFlag::load(base_path)?;
    let mut flag = known.unwrap_or_else(|| InitFlag {
        join_time: now,
        last_ips: ips.join(","),
        last_port: port,
        ..InitFlag::default()
    });
    if config.keys.check_store_path_mark {
        let maker = MarkMaker { ip: ips.first().cloned().unwrap_or_default(), port, now };
        let data_dirs: Vec<_> = config.store_paths.iter().map(|p| p.path.join("data")).collect();
        flag.check_marks(base_path, &data_dirs, &maker)?;
    }
    Ok(flag)
}

/// The storage's id and how it stands in names (spec 02 §3.1, 03 §A1).
async fn identify(
    config: &StorageConfig,
    params: &ClusterParams,
    ids: &StorageIds,
    group: &str,
    own_ip: &str,
    port: u16,
) -> Result<Identity, StartupError> {
    let refused = StartupError::Refused;
    let ipv4 = own_ip.parse::<Ipv4Addr>().unwrap_or(Ipv4Addr::BROADCAST);
    let group_name = Group::try_from(group).map_err(|error| refused(error.to_string()))?;
    if !params.use_storage_id {
        let id = if own_ip.contains(':') { short_code(own_ip) } else { own_ip.to_owned() };
        let id = StorageId::truncated(id.as_bytes());
        return Ok(Identity { group: group_name, id, source: Source::Ip(ipv4) });
    }
    let by_local_ip = || {
        let own = std::iter::once(own_ip.to_owned());
        let mut all =
            own.chain(crate::config_file::local_ips().into_iter().map(|ip| ip.to_string()));
        all.find_map(|ip| ids.by_addr(group, &ip, port).map(|entry| entry.id.to_string()))
    };
    let id = match &config.keys.server_id {
        Some(id) if params.trust_storage_server_id => id.clone(),
        None if params.trust_storage_server_id => by_local_ip().ok_or_else(|| {
            refused(format!("no entry of the storage ids has group {group} and port {port} here"))
        })?,
        _ => startup::ask_id(config, group, own_ip, port).await?.ok_or_else(|| {
            refused(format!("the trackers know no id for {group} {own_ip}:{port}"))
        })?,
    };
    let entry = ids.by_id(&id).filter(|entry| entry.group == group);
    let entry = entry.ok_or_else(|| refused(format!("server_id {id} is no storage of {group}")))?;
    let source = match params.id_type_in_filename {
        IdType::Id => Source::Id(entry.id),
        IdType::Ip => Source::Ip(ipv4),
    };
    Ok(Identity { group: group_name, id: StorageId::truncated(id.as_bytes()), source })
}

/// With ids, a source that was remembered by its address is known by its id from now on.
async fn convert_source(
    config: &StorageConfig,
    group: &str,
    flag: &mut InitFlag,
    port: u16,
) -> Result<(), StartupError> {
    if flag.sync_source.is_empty() || flag.sync_source.parse::<u32>().is_ok() {
        return Ok(());
    }
    let id = startup::ask_id(config, group, &flag.sync_source, port).await?;
    tracing::info!(source = %flag.sync_source, id = ?id, "the sync source is known by its id now");
    flag.sync_source = id.unwrap_or_default();
    Ok(())
}

/// Tells the trackers when the address has changed since the last run; returns what their change
/// logs say of peers.
async fn follow_ip_change(
    config: &StorageConfig,
    params: &ClusterParams,
    group: Group,
    flag: &InitFlag,
    own_ip: &str,
) -> Vec<Departure> {
    let old_ip = flag.last_ips.split(',').next().unwrap_or_default();
    let follows = params.storage_ip_changed_auto_adjust && !params.use_storage_id;
    if !follows || old_ip.is_empty() || old_ip == own_ip {
        return Vec::new();
    }
    tracing::warn!(%old_ip, new_ip = %own_ip, "this storage has a new address");
    let logs = startup::report_ip(config, group, old_ip, own_ip).await;
    logs.iter().flat_map(|log| departures(log, &group.to_string())).collect()
}
