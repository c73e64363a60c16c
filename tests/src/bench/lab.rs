//! The servers under measurement: one tracker and one storage, ours or the original's, on one core.

use crate::raw::{Answer, Raw};
use fdfs_core::protocol::Command as Wire;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The core of the servers and that of the load; the same on a machine with one.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// Longest start of a server, and longest end.
const START_TIME_MAX: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// Two folders of binaries to compare, or one alone.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// Name in the report.
    pub name: &'static str,
    /// Folder with `fdfs_trackerd` and `fdfs_storaged`.
    pub folder: PathBuf,
}

/// Moves this thread, and what it starts from now on, to the core of the load or of the servers.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // A machine with one core has no other to go to.
    let _ = sched_setaffinity(None, &set);
}

/// The load runs on its own core.
pub fn pin_load() {
    pin(LOAD_CORE);
}

/// A server process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// From its start until it answered.
    pub start_time: Duration,
}

impl Server {
    fn start(binary: &Path, conf: &Path, addr: SocketAddr) -> io::Result<Self> {
        pin(SERVER_CORE);
        let began = Instant::now();
        let mut command = Command::new(binary);
        command.arg(conf).arg("-N").stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        pin_load();
        let mut server = Self { child: child?, addr, start_time: Duration::ZERO };
        // It counts as started when it answers, not when its socket is there.
        while !answers(addr) {
            if let Some(status) = server.child.try_wait()? {
                let text = format!("{} {} ended: {status}", binary.display(), conf.display());
                return Err(io::Error::other(text));
            }
            if began.elapsed() > START_TIME_MAX {
                return Err(io::Error::other(format!("{} does not answer", binary.display())));
            }
            sleep(Duration::from_millis(1));
        }
        server.start_time = began.elapsed();
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time used so far, in microseconds, by threads that are and that were. The kernel
    /// tells it in ticks of 10 ms.
    pub fn cpu_micros(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        // Fields 14 and 15, in user mode and in the kernel; the state is number 3.
        let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        ticks.sum::<f64>() * 10_000.0
    }

    /// Resident memory in MiB.
    pub fn rss_mib(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| matches!(self.child.try_wait(), Ok(None))) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > START_TIME_MAX {
                let _ = self.child.kill();
            }
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A cluster of one.
#[derive(Debug)]
pub struct Cluster {
    /// Its storage.
    pub storage: Server,
    /// Its tracker.
    pub tracker: Server,
    dir: PathBuf,
    binaries: Binaries,
}

impl Cluster {
    /// Starts a tracker and a storage on the same configuration, whoever's they are.
    pub fn start(
        binaries: &Binaries,
        dir: &Path,
        host: IpAddr,
        subdirs: usize,
    ) -> io::Result<Self> {
        let (tracker, storage) = (free_port(host)?, free_port(host)?);
        for folder in ["t", "s"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let common = format!(
            "bind_addr={host}\nconnect_timeout=5\nnetwork_timeout=60\nmax_connections=12000\n\
             accept_threads=1\nwork_threads=4\nlog_level=warn\nallow_hosts=*\n"
        );
        let conf = format!(
            "{common}port={}\nbase_path={}\nreserved_storage_space=1%\nstore_lookup=0\n",
            tracker.port(),
            dir.join("t").display()
        );
        fs::write(dir.join("tracker.conf"), conf)?;
        let data = dir.join("s");
        let conf = format!(
            "{common}port={}\ngroup_name=group1\nbase_path={}\nstore_path_count=1\n\
             store_path0={}\nsubdir_count_per_path={subdirs}\ntracker_server={tracker}\n\
             thread_stack_size=512KB\nheart_beat_interval=5\nbuff_size=256KB\ndisk_rw_separated=true\n\
             disk_reader_threads=1\ndisk_writer_threads=1\nsync_binlog_buff_interval=1\n",
            storage.port(),
            data.display(),
            data.display()
        );
        fs::write(dir.join("storage.conf"), conf)?;
        let start = |name: &str, conf: &str, addr| {
            Server::start(&binaries.folder.join(name), &dir.join(conf), addr)
        };
        let tracker = start("fdfs_trackerd", "tracker.conf", tracker)?;
        let storage = start("fdfs_storaged", "storage.conf", storage)?;
        let cluster = Self { storage, tracker, dir: dir.to_owned(), binaries: binaries.clone() };
        cluster.wait_until_storing()?;
        Ok(cluster)
    }

    fn wait_until_storing(&self) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let answer = Raw::connect(self.tracker.addr).call(Wire::QUERY_STORE, &[]);
            if matches!(answer, Answer::Reply(status, _) if status.0 == 0) {
                return Ok(());
            }
            if began.elapsed() > START_TIME_MAX {
                return Err(io::Error::other("the storage does not become active"));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Stops the storage and starts it again; tells how long the start took.
    pub fn restart_storage(&mut self) -> io::Result<Duration> {
        self.storage.stop();
        let binary = self.binaries.folder.join("fdfs_storaged");
        self.storage = Server::start(&binary, &self.dir.join("storage.conf"), self.storage.addr)?;
        self.wait_until_storing()?;
        Ok(self.storage.start_time)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the files lie.
    pub fn data(&self) -> PathBuf {
        self.dir.join("s/data")
    }

    /// Lets the host back as much memory as the next run will write: the first touch of a page
    /// costs a hundred times what the server does with it (plan §0.6).
    pub fn touch_memory(&self, bytes: u64) -> io::Result<()> {
        let path = self.dir.join("touch");
        let mut file = fs::File::create(&path)?;
        let piece = vec![1; MIB];
        for _ in 0..bytes.div_ceil(MIB as u64) {
            file.write_all(&piece)?;
        }
        fs::remove_file(path)
    }
}

fn answers(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_ok_and(|stream| Raw(stream).is_alive())
}

/// A port that was free a moment ago.
fn free_port(host: IpAddr) -> io::Result<SocketAddr> {
    TcpListener::bind((host, 0))?.local_addr()
}
