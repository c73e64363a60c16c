//! A cluster of real processes on a [`Lan`]: one tracker and the storages of one group, each with
//! the binaries it is given.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a lab that fails panics"
)]

use crate::lan::Lan;
use fdfs_core::client::{Client, ClientOptions, StorageStatus};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a process to do what it should.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// The host of the tracker; the storages come after it.
pub const TRACKER: u8 = 0;
/// The port of the tracker.
pub const TRACKER_PORT: u16 = 22122;
/// The port of the storages.
pub const STORAGE_PORT: u16 = 23000;

/// Waits for a condition; what it says is the message when it does not come.
pub fn wait(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < patience, "in vain for {patience:?}: {what}");
        std::thread::sleep(LOOK);
    }
}

/// A server: where it runs, with whose binary, and its process while there is one.
#[derive(Debug)]
struct Part {
    host: u8,
    program: &'static str,
    folder: PathBuf,
    conf: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

/// The cluster. Its processes end when it is dropped.
#[derive(Debug)]
pub struct Members {
    parts: Vec<Part>,
    /// The network.
    pub lan: Lan,
    dir: PathBuf,
}

impl Members {
    /// Prepares a tracker with the binaries in the first folder and one storage for each other
    /// folder. `storage_conf` is added to the configuration of all storages.
    pub fn new(dir: &Path, folders: &[PathBuf], storage_conf: &str) -> std::io::Result<Self> {
        let hosts = u8::try_from(folders.len()).unwrap();
        let lan = Lan::new(hosts)?;
        let mut members = Self { parts: Vec::new(), lan, dir: dir.to_owned() };
        for (host, folder) in (0..hosts).zip(folders) {
            let program = if host == TRACKER { "fdfs_trackerd" } else { "fdfs_storaged" };
            let (conf, log) = (dir.join(format!("{host}.conf")), dir.join(format!("{host}.log")));
            fs::create_dir_all(members.base(host))?;
            let folder = folder.clone();
            members.parts.push(Part { host, program, folder, conf, log, child: None });
            members.write_conf(host, storage_conf);
        }
        Ok(members)
    }

    /// `base_path` and store path of a host.
    pub fn base(&self, host: u8) -> PathBuf {
        self.dir.join(format!("host{host}"))
    }

    /// The hosts of the storages.
    pub fn storages(&self) -> std::ops::Range<u8> {
        1..u8::try_from(self.parts.len()).unwrap()
    }

    /// The store paths of all storages.
    pub fn store_paths(&self) -> Vec<PathBuf> {
        self.storages().map(|host| self.base(host)).collect()
    }

    fn write_conf(&self, host: u8, storage_conf: &str) {
        let (addr, base) = (Lan::addr(host), self.base(host));
        let mut conf = format!(
            "bind_addr={addr}\nbase_path={}\nconnect_timeout=2\nnetwork_timeout=5\n\
             max_connections=1024\nlog_level=info\nallow_hosts=*\nthread_stack_size=512KB\n",
            base.display()
        );
        if host == TRACKER {
            let text = "reserved_storage_space=1MB\ncheck_active_interval=4\nstore_lookup=0\n";
            write!(conf, "port={TRACKER_PORT}\n{text}").unwrap();
        } else {
            write!(
                conf,
                "group_name=group1\nport={STORAGE_PORT}\nstore_path_count=1\nstore_path0={}\n\
                 subdir_count_per_path=4\ntracker_server={}:{TRACKER_PORT}\nheart_beat_interval=1\n\
                 stat_report_interval=1\nsync_wait_msec=10\nsync_binlog_buff_interval=1\n\
                 sync_stat_file_interval=1\n{storage_conf}",
                base.display(),
                Lan::addr(TRACKER)
            )
            .unwrap();
        }
        fs::write(self.dir.join(format!("{host}.conf")), conf).unwrap();
    }

    /// Changes the configuration of a host, for its next start.
    pub fn change_conf(&self, host: u8, change: impl FnOnce(&str) -> String) {
        let path = &self.parts[usize::from(host)].conf;
        let conf = fs::read_to_string(path).unwrap();
        fs::write(path, change(&conf)).unwrap();
    }

    /// Starts the server of a host.
    pub fn start(&mut self, host: u8) {
        let part = &mut self.parts[usize::from(host)];
        assert!(part.child.is_none(), "it runs already");
        let mut command = self.lan.command(part.host, &part.folder.join(part.program));
        let log = File::options().create(true).append(true).open(&part.log).unwrap();
        command.arg(&part.conf).arg("-N").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        part.child = Some(command.spawn().unwrap());
    }

    /// Starts everything that does not run, the tracker first.
    pub fn start_all(&mut self) {
        for host in 0..u8::try_from(self.parts.len()).unwrap() {
            if self.parts[usize::from(host)].child.is_none() {
                self.start(host);
            }
        }
    }

    /// Ends the server of a host as `kill -9` does.
    pub fn kill(&mut self, host: u8) {
        let mut child = self.parts[usize::from(host)].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the server of a host in order.
    pub fn stop(&mut self, host: u8) {
        let part = &mut self.parts[usize::from(host)];
        // One that does not end is killed with the others when this is dropped.
        let child = part.child.as_mut().unwrap();
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        let what = format!("{} on host {host} ends", part.program);
        wait(&what, PATIENCE, || child.try_wait().unwrap().is_some());
        part.child = None;
    }

    /// Gives a host other binaries, for its next start.
    pub fn set_folder(&mut self, host: u8, folder: &Path) {
        folder.clone_into(&mut self.parts[usize::from(host)].folder);
    }

    /// Where clients find the tracker.
    pub fn tracker() -> String {
        format!("{}:{TRACKER_PORT}", Lan::addr(TRACKER))
    }

    /// A client that gives up soon; it must be used by threads that have entered the network.
    pub fn client() -> Client {
        let mut options = ClientOptions::new([Self::tracker()]).unwrap();
        options.connect_timeout = Duration::from_secs(2);
        options.io_timeout = Duration::from_secs(5);
        options.retries = 0;
        options.connect()
    }

    /// The status of a storage as the tracker knows it.
    pub async fn status(client: &Client, host: u8) -> Option<StorageStatus> {
        let id = Lan::addr(host).to_string();
        let listed = client.list_storages("group1", None).await.ok()?;
        listed.into_iter().find(|storage| storage.id == id).map(|storage| storage.status)
    }

    /// Waits until a storage has this status.
    pub fn wait_status(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        host: u8,
        status: StorageStatus,
    ) {
        let client = Self::client();
        wait(&format!("storage {host} is {status}"), PATIENCE, || {
            self.check_alive();
            runtime.block_on(Self::status(&client, host)) == Some(status)
        });
    }

    /// Waits until all storages serve.
    pub fn wait_active(&mut self, runtime: &tokio::runtime::Runtime) {
        for host in self.storages() {
            self.wait_status(runtime, host, StorageStatus::ACTIVE);
        }
    }

    /// A server that was not told to end must run.
    pub fn check_alive(&mut self) {
        for part in &mut self.parts {
            if let Some(child) = &mut part.child
                && let Some(status) = child.try_wait().unwrap()
            {
                let log = fs::read_to_string(&part.log).unwrap_or_default();
                panic!("{} on host {} ended, {status}: {log}", part.program, part.host);
            }
        }
    }

    /// Prints what the binlogs tell of a file: for a test that fails.
    pub fn print_records(&self, base_name: &str) {
        for host in self.storages() {
            let path = self.base(host).join("data/sync/binlog.000");
            let text = fs::read_to_string(path).unwrap_or_default();
            for line in text.lines().filter(|line| line.contains(base_name)) {
                println!("host {host}: {line}");
            }
        }
    }

    /// Prints the ends of all logs: for a test that fails.
    pub fn print_logs(&self, lines: usize) {
        for part in &self.parts {
            let own = self.base(part.host).join("logs").join(match part.host {
                TRACKER => "trackerd.log",
                _ => "storaged.log",
            });
            for log in [&part.log, &own] {
                let text = fs::read_to_string(log).unwrap_or_default();
                let all: Vec<&str> = text.lines().collect();
                let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
                println!("--- {}\n{}", log.display(), last.join("\n"));
            }
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs(30);
        }
        for child in self.parts.iter_mut().filter_map(|part| part.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
