//! Starting and stopping a storage (spec 03 §A1, 04 Part C).

use super::clock::SystemClock;
use super::config::StorageConfig;
use super::disk::RealDisk;
use super::engine::{Engine, Identity};
use super::identity::InitFlag;
use super::link::{
    Link, StartupError, ask_group, ask_ids, ask_ips, ask_own_id, ask_params, report_ip,
    run_reporter,
};
use super::orphans::{RunningMark, Suspects, check};
use super::{clock::Clock as _, serve};
use crate::daemon::{ConnLimits, Server, ServerOptions, bind_all};
use fdfs_core::config::{ClusterParams, IdType, StorageIds};
use fdfs_core::file_id::{Source, short_code};
use fdfs_core::protocol::{Group, StorageId};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longest time that saying goodbye to the trackers may take.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);

/// A storage at work; dropping it ends it at once.
#[derive(Debug)]
pub struct RunningStorage {
    server: Server,
    link: Arc<Link>,
    reporters: JoinSet<()>,
    jobs: JoinSet<()>,
    stop: watch::Sender<bool>,
    mark: RunningMark,
}

impl RunningStorage {
    /// Starts a storage. Waits for a tracker as long as it takes.
    pub async fn start(config: StorageConfig) -> Result<Self, StartupError> {
        let base_path = config.framework.base_path.clone();
        std::fs::create_dir_all(base_path.join("data"))?;
        let bound = bind_all(&config.framework.listen)?;
        let port = bound.first().map_or(Ok(0), |bound| bound.local_addr().map(|a| a.port()))?;
        let group = match &config.group {
            Some(group) => group.clone(),
            None => ask_group(&config, port).await,
        };
        let ips = ask_ips(&config, &group, port).await?;
        let own_ip = ips.first().cloned().unwrap_or_default();
        let mut flag = load_flag(&config, &ips, port)?;
        let params = ask_params(&config).await?;
        if params.use_trunk_file {
            tracing::warn!("use_trunk_file is on: this server still stores each file on its own");
        }
        let ids = match params.use_storage_id {
            true => ask_ids(&config).await?,
            false => StorageIds::default(),
        };
        let identity = identify(&config, &params, &ids, &group, &own_ip, port).await?;
        follow_ip_change(&config, &params, &group, &flag, &own_ip).await;
        (flag.last_ips, flag.last_port) = (ips.join(","), port);
        let (disk, clock) = (Arc::new(RealDisk), Arc::new(SystemClock));
        let engine = Arc::new(Engine::open(&config, identity, params, ids, disk, clock)?);
        check_marks(&config, &engine, &mut flag, &own_ip, port)?;
        flag.save(&base_path)?;
        let (mark, suspects) = RunningMark::set(&base_path)?;
        let server = serve_on(bound, &config, &engine);
        let link = Link::new(engine, config, flag, port, server.counts());
        let mut running = Self {
            server,
            link: Arc::new(link),
            reporters: JoinSet::new(),
            jobs: JoinSet::new(),
            stop: watch::Sender::new(false),
            mark,
        };
        running.start_jobs(suspects);
        Ok(running)
    }

    fn start_jobs(&mut self, suspects: Option<Suspects>) {
        for index in 0..self.link.tracker_count() {
            self.reporters.spawn(run_reporter(self.link.clone(), index, self.stop.subscribe()));
        }
        let (stat_interval, sync_interval) = self.link.save_intervals();
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
        if let Some(suspects) = suspects {
            let engine = self.link.engine.clone();
            self.jobs.spawn(async move {
                let done = tokio::task::spawn_blocking(move || check(&engine, suspects)).await;
                match done {
                    Ok(Ok(_)) => tracing::info!("checked the files of the last run"),
                    Ok(Err(error)) => tracing::error!(%error, "cannot check the last run's files"),
                    Err(_) => {}
                }
            });
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

    /// Waits until a tracker can send uploads here.
    pub async fn wait_active(&self) {
        // The sender lives as long as the link.
        let _ = self.link.reported.subscribe().wait_for(|reported| *reported).await;
    }

    /// Stops accepting, finishes requests under way, leaves the trackers and saves all state.
    pub async fn shutdown(mut self) -> std::io::Result<()> {
        self.server.shutdown().await;
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(LEAVE_TIME_MAX, async {
            while self.reporters.join_next().await.is_some() {}
        })
        .await;
        self.reporters.shutdown().await;
        self.jobs.shutdown().await;
        let (engine, mark) = (self.link.engine.clone(), self.mark);
        let saved = tokio::task::spawn_blocking(move || {
            engine.binlog.sync()?;
            engine.save_stats()?;
            mark.clear()
        });
        saved.await.map_err(std::io::Error::other)?
    }
}

/// Runs file work at intervals, off the connections' threads.
async fn repeat(interval: Duration, work: impl Fn() + Clone + Send + 'static) {
    let mut interval = tokio::time::interval(interval);
    interval.tick().await;
    loop {
        interval.tick().await;
        // A panic in there was logged by the runtime; the next round tries again.
        let _ = tokio::task::spawn_blocking(work.clone()).await;
    }
}

fn serve_on(
    bound: Vec<tokio::net::TcpListener>,
    config: &StorageConfig,
    engine: &Arc<Engine>,
) -> Server {
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

fn load_flag(config: &StorageConfig, ips: &[String], port: u16) -> Result<InitFlag, StartupError> {
    Ok(match InitFlag::load(&config.framework.base_path)? {
        Some(flag) => flag,
        None => InitFlag {
            join_time: SystemClock.unix_secs(),
            last_ips: ips.join(","),
            last_port: port,
            ..InitFlag::default()
        },
    })
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
        _ => ask_own_id(config, group, own_ip, port).await,
    };
    let entry = ids.by_id(&id).filter(|entry| entry.group == group);
    let entry = entry.ok_or_else(|| refused(format!("server_id {id} is no storage of {group}")))?;
    let source = match params.id_type_in_filename {
        IdType::Id => Source::Id(entry.id),
        IdType::Ip => Source::Ip(ipv4),
    };
    Ok(Identity { group: group_name, id: StorageId::truncated(id.as_bytes()), source })
}

async fn follow_ip_change(
    config: &StorageConfig,
    params: &ClusterParams,
    group: &str,
    flag: &InitFlag,
    own_ip: &str,
) {
    let old_ip = flag.last_ips.split(',').next().unwrap_or_default();
    let follows = params.storage_ip_changed_auto_adjust && !params.use_storage_id;
    if follows && !old_ip.is_empty() && old_ip != own_ip {
        tracing::warn!(%old_ip, new_ip = %own_ip, "this storage has a new address");
        report_ip(config, group, old_ip, own_ip).await;
    }
}

fn check_marks(
    config: &StorageConfig,
    engine: &Engine,
    flag: &mut InitFlag,
    own_ip: &str,
    port: u16,
) -> Result<(), StartupError> {
    if !config.keys.check_store_path_mark {
        return Ok(());
    }
    for (index, path) in (0u8..).zip(engine.store.paths()) {
        flag.check_mark(index, path.data(), own_ip, port, engine.now())?;
    }
    Ok(())
}
