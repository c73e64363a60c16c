//! The hosts of a simulated cluster: starting them, stopping them, looking at their files.

use super::disk::SimDisk;
use super::model::Model;
use super::unsynced::Unsynced;
use fdfs_core::config::Ini;
use fdfs_core::net::sim::{Chance, Network, Power, spawn_on};
use fdfs_core::protocol::replication::BootId;
use fdfs_servers::storage::clock::Clock;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::storage::{RunningStorage, World};
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Port of trackers, and of storages.
const TRACKER_PORT: u16 = 22122;
const STORAGE_PORT: u16 = 23000;
/// After a server could not start.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Longest orderly end of a server.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(60);

/// How many of what.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Trackers.
    pub trackers: u8,
    /// Groups.
    pub groups: u8,
    /// Storages of each group.
    pub storages: u8,
}

/// What a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A tracker.
    Tracker,
    /// A storage of the group with this number, from 1.
    Storage(u8),
}

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its address.
    pub ip: IpAddr,
    /// What it runs.
    pub role: Role,
    /// Its files.
    pub dir: PathBuf,
    /// Its disk in this life.
    pub disk: SimDisk,
    /// What is not on that disk yet.
    unsynced: Arc<Mutex<Unsynced>>,
    /// How often its power has failed.
    failures: u32,
    life: Option<Life>,
}

#[derive(Debug)]
struct Life {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The clock of a host.
#[derive(Debug, Clone)]
pub struct HostClock(Arc<Network>, IpAddr);

impl Clock for HostClock {
    fn unix_secs(&self) -> i64 {
        self.0.unix_secs(self.1)
    }
}

/// Files by their path below `data`, with content; of links, the target.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// All hosts.
#[derive(Debug)]
pub struct Cluster {
    network: Arc<Network>,
    chance: Chance,
    /// The hosts: trackers first.
    pub hosts: Vec<Host>,
    trackers: String,
    model: Arc<Mutex<Model>>,
    died: mpsc::UnboundedSender<usize>,
}

impl Cluster {
    /// Hosts that do not run yet. Those that die in a disk call are told by the channel.
    pub fn new(
        network: &Arc<Network>,
        shape: Shape,
        dir: &Path,
        model: &Arc<Mutex<Model>>,
    ) -> (Self, mpsc::UnboundedReceiver<usize>) {
        let (died, deaths) = mpsc::unbounded_channel();
        let trackers = (1..=shape.trackers).map(|at| (Role::Tracker, Ipv4Addr::new(10, 0, 0, at)));
        let storages = (1..=shape.groups).flat_map(|group| {
            (1..=shape.storages).map(move |at| (Role::Storage(group), [10, 0, group, at].into()))
        });
        let mut lines = String::new();
        for at in 1..=shape.trackers {
            lines.push_str(&format!("tracker_server=10.0.0.{at}:{TRACKER_PORT}\n"));
        }
        let host = |(role, ip): (Role, Ipv4Addr)| {
            let (clock, unsynced) = (HostClock(network.clone(), ip.into()), Arc::default());
            Host {
                ip: ip.into(),
                role,
                dir: dir.join(ip.to_string()),
                disk: SimDisk::new(clock, Arc::clone(&unsynced), || ()),
                unsynced,
                failures: 0,
                life: None,
            }
        };
        let hosts = trackers.chain(storages).map(host).collect();
        let (network, chance) = (network.clone(), network.chance());
        let model = model.clone();
        (Self { network, chance, hosts, trackers: lines, model, died }, deaths)
    }

    /// Starts a host that does not run.
    pub fn start(&mut self, at: usize) {
        let (network, seed, died) = (self.network.clone(), self.chance.any(), self.died.clone());
        let trackers = self.trackers.clone();
        let Some(host) = self.hosts.get_mut(at).filter(|host| host.life.is_none()) else { return };
        let (ip, role, dir) = (host.ip, host.role, host.dir.clone());
        let for_disk = network.clone();
        let clock = HostClock(network.clone(), ip);
        let boot = BootId::new(format!("{ip} {}", host.failures).as_bytes()).unwrap_or_default();
        let disk = SimDisk::new(clock.clone(), host.unsynced.clone(), move || {
            for_disk.stop(ip, Power::Killed);
            // Nobody waits for it once the run is over.
            let _ = died.send(at);
        });
        host.disk = disk.clone();
        let_the_file_clock_tick();
        network.start(ip);
        let (end, ended) = oneshot::channel();
        let task = spawn_on(ip, async move {
            match role {
                Role::Tracker => run_tracker(&network, ip, &dir, ended).await,
                Role::Storage(group) => {
                    let (disk, clock) = (Arc::new(disk), Arc::new(clock));
                    let world = World { disk, clock, seed, boot, spare: None };
                    run_storage(&network, ip, (&dir, group, &trackers), world, ended).await;
                }
            }
        });
        host.life = Some(Life { end, task });
    }

    /// Stops a host as it is, without a word to its servers.
    pub async fn crash(&mut self, at: usize, power: Power) {
        let Some(host) = self.hosts.get_mut(at) else { return };
        let Some(life) = host.life.take() else { return };
        if !host.disk.is_dead() {
            host.disk.die();
            self.network.stop(host.ip, power);
        }
        life.task.abort();
        // Tasks of tasks end one after the other.
        sleep(Duration::from_millis(2)).await;
        if power == Power::Off {
            self.lose_unsynced(at);
        }
    }

    /// Takes what a host without power had not written to its disk.
    fn lose_unsynced(&mut self, at: usize) {
        let Some(host) = self.hosts.get_mut(at) else { return };
        host.failures += 1;
        let mut unsynced = host.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = unsynced.lose(&mut self.chance).unwrap_or_else(|error| panic!("{error}"));
        for path in lost {
            let name = path.strip_prefix(&host.dir).unwrap_or(&path).display();
            self.network.note(format_args!("lost on {}: {name}", host.ip));
        }
        self.model.lock().unwrap_or_else(PoisonError::into_inner).lost_power(host.ip);
    }

    /// Ends a host's server in order.
    pub async fn shut_down(&mut self, at: usize) {
        let Some(host) = self.hosts.get_mut(at) else { return };
        let Some(life) = host.life.take() else { return };
        self.network.note(format_args!("shut down {}", host.ip));
        // It has not ended before: only this ends it.
        let _ = life.end.send(());
        let mut task = life.task;
        let ended = timeout(SHUTDOWN_TIME_MAX, &mut task).await;
        host.disk.die();
        self.network.stop(host.ip, Power::Killed);
        task.abort();
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.network.note(format_args!("PANIC {} {error}", host.ip)),
            Err(_) => self.network.note(format_args!("slow end of {}", host.ip)),
        }
        sleep(Duration::from_millis(2)).await;
    }

    /// Whether a host runs.
    pub fn is_up(&self, at: usize) -> bool {
        self.hosts.get(at).is_some_and(|host| host.life.is_some())
    }

    /// Hosts whose server ended in a panic.
    pub fn panicked(&self) -> Vec<IpAddr> {
        let is_over = |host: &&Host| host.life.as_ref().is_some_and(|life| life.task.is_finished());
        self.hosts.iter().filter(is_over).map(|host| host.ip).collect()
    }

    /// The binlogs and marks of all storages, for the log of a run that failed.
    pub fn binlogs(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for host in self.hosts.iter().filter(|host| host.role != Role::Tracker) {
            let folder = std::fs::read_dir(host.dir.join("data/sync"));
            let mut files: Vec<PathBuf> =
                folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files {
                let name = file.file_name().unwrap_or_default().display().to_string();
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                lines.extend(text.lines().map(|line| format!("{} {name}: {line}", host.ip)));
            }
        }
        lines
    }

    /// The first binlog file of each storage.
    pub fn binlog_files(&self) -> Vec<(IpAddr, PathBuf)> {
        let storages = self.hosts.iter().filter(|host| host.role != Role::Tracker);
        storages.map(|host| (host.ip, host.dir.join("data/sync/binlog.000"))).collect()
    }

    /// The files of every storage of a group.
    pub fn trees(&self, group: u8) -> Vec<(IpAddr, Tree)> {
        let members = self.hosts.iter().filter(|host| host.role == Role::Storage(group));
        members.map(|host| (host.ip, tree(&host.dir.join("data")))).collect()
    }
}

/// Lives of hosts are shorter here than the steps of the clock by which files are stamped, and a
/// storage tells by these stamps what its last life has left. A stamp may be as fine as the exact
/// clock, which is ahead of the other by up to a step.
fn let_the_file_clock_tick() {
    use rustix::time::{ClockId, clock_gettime};
    let now = |id| {
        let time = clock_gettime(id);
        (time.tv_sec, time.tv_nsec)
    };
    let before = now(ClockId::Realtime);
    while now(ClockId::RealtimeCoarse) <= before {
        std::thread::yield_now();
    }
}

async fn run_tracker(network: &Network, ip: IpAddr, dir: &Path, end: oneshot::Receiver<()>) {
    let text = format!(
        "base_path={}\nbind_addr={ip}\nport={TRACKER_PORT}\nreserved_storage_space=1%\n\
         connect_timeout=2\nnetwork_timeout=5\ncheck_active_interval=8\nstore_lookup=0\n\
         max_connections=1000\n",
        dir.display()
    );
    let tracker = loop {
        let started = std::fs::create_dir_all(dir).and_then(|()| {
            let config = TrackerConfig::from_ini(&Ini::parse(&text), Path::new("tracker.conf"));
            RunningTracker::start(config.map_err(std::io::Error::other)?)
        });
        match started {
            Ok(tracker) => break tracker,
            Err(error) => network.note(format_args!("tracker {ip} cannot start: {error}")),
        }
        sleep(RESTART_PAUSE).await;
    };
    if end.await.is_ok()
        && let Err(error) = tracker.shutdown().await
    {
        network.note(format_args!("tracker {ip} ended badly: {error}"));
    }
}

async fn run_storage(
    network: &Network,
    ip: IpAddr,
    (dir, group, trackers): (&Path, u8, &str),
    world: World,
    mut end: oneshot::Receiver<()>,
) {
    let text = format!(
        "base_path={}\nstore_path0={}\nbind_addr={ip}\nclient_bind=true\nport={STORAGE_PORT}\n\
         group_name=group{group}\n{trackers}connect_timeout=2\nnetwork_timeout=5\n\
         heart_beat_interval=2\nstat_report_interval=10\nsubdir_count_per_path=2\n\
         sync_stat_file_interval=10\nfile_distribute_rotate_count=8\nmax_connections=1000\n",
        dir.display(),
        dir.display(),
    );
    let storage = loop {
        let config =
            std::fs::create_dir_all(dir).map_err(|error| error.to_string()).and_then(|()| {
                StorageConfig::from_ini(&Ini::parse(&text)).map_err(|error| error.to_string())
            });
        let started = match config {
            Ok(config) => tokio::select! {
                started = RunningStorage::start_in(world.clone(), config) => {
                    started.map_err(|error| error.to_string())
                }
                _ = &mut end => return,
            },
            Err(error) => Err(error),
        };
        match started {
            Ok(storage) => break storage,
            Err(error) => network.note(format_args!("storage {ip} cannot start: {error}")),
        }
        sleep(RESTART_PAUSE).await;
    };
    if end.await.is_ok()
        && let Err(error) = storage.shutdown().await
    {
        network.note(format_args!("storage {ip} ended badly: {error}"));
    }
}

/// Stored files below `data`: those in the directories of two hex digits.
fn tree(data: &Path) -> Tree {
    let mut found = Tree::new();
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let is_folder =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 2) && path.is_dir();
        entries.map(|entry| entry.path()).filter(is_folder).collect()
    };
    for folder in folders(data).iter().flat_map(|high| folders(high)) {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(data).unwrap_or(&path).display().to_string();
            let content = match std::fs::read_link(&path) {
                // Each host has a data folder of its own.
                Ok(target) => {
                    target.strip_prefix(data).unwrap_or(&target).display().to_string().into()
                }
                Err(_) => std::fs::read(&path).unwrap_or_default(),
            };
            found.insert(name, content);
        }
    }
    found
}
