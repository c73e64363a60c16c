//! What a server costs while it does nothing, and its starts (plan §5, rows 17 and 18).

use super::lab::{Binaries, Cluster};
use super::load::{Plan, run};
use super::work::{Op, Work};
use crate::raw::Raw;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Files for the start of a full storage.
const FILES: usize = 1_000_000;
/// How long after a bulk load the memory is looked at.
const REST: Duration = Duration::from_secs(10);

/// Names and limits of what [`measure`] tells, in its order.
pub const COSTS: [(&str, f64); 8] = [
    ("storage, MiB resident at start", 10.0),
    ("storage, MiB with 1 000 idle connections", 20.0),
    ("storage, MiB with 10 000 idle connections", 100.0),
    ("storage, MiB 10 s after a bulk load ÷ MiB with 1 000 idle", 1.2),
    ("tracker, MiB resident at start", 10.0),
    ("tracker, MiB with 1 000 idle connections", 20.0),
    ("storage, seconds of the first start", 0.5),
    ("storage, seconds of a start with 1 000 000 files", 0.3),
];

fn open(cluster: &Cluster, idle: &mut Vec<Raw>, count: usize) -> io::Result<()> {
    while idle.len() < count {
        let mut raw = Raw::connect(cluster.storage.addr);
        if !raw.is_alive() {
            return Err(io::Error::other(format!("connection {} is not served", idle.len())));
        }
        idle.push(raw);
    }
    Ok(())
}

/// Measures all costs on a cluster of its own.
pub fn measure(binaries: &Binaries, dir: &Path, host: IpAddr) -> io::Result<[f64; 8]> {
    let mut cluster = Cluster::start(binaries, dir, host, 256)?;
    let first_start = cluster.storage.start_time.as_secs_f64();
    let (at_start, tracker_start) = (cluster.storage.rss_mib(), cluster.tracker.rss_mib());
    let mut idle = Vec::new();
    open(&cluster, &mut idle, 1000)?;
    let with_1000 = cluster.storage.rss_mib();
    let plan = Plan {
        addr: cluster.storage.addr,
        connections: 256,
        warm_up: Duration::ZERO,
        time: Duration::from_secs(3),
        bytes_max: 2 << 30,
    };
    run(plan, &mut Work::new(Op::Upload, &[1 << 20, 1 << 16], Vec::new()), || 0.0)?;
    sleep(REST);
    let after_bulk = cluster.storage.rss_mib() / with_1000;
    open(&cluster, &mut idle, 10_000)?;
    let with_10000 = cluster.storage.rss_mib();
    let tracker_conns: Vec<Raw> =
        (0..1000).map(|_| Raw::connect(cluster.tracker.addr)).inspect(|_| ()).collect();
    sleep(Duration::from_millis(200));
    let tracker_with_1000 = cluster.tracker.rss_mib();
    drop(tracker_conns);
    drop(idle);
    fill(&cluster.data())?;
    let full_start = cluster.restart_storage()?.as_secs_f64();
    Ok([
        at_start,
        with_1000,
        with_10000,
        after_bulk,
        tracker_start,
        tracker_with_1000,
        first_start,
        full_start,
    ])
}

/// Makes as many files as there must be, all over the directories.
fn fill(data: &Path) -> io::Result<()> {
    let mut dirs = Vec::new();
    for high in fs::read_dir(data)?.flatten().filter(|entry| entry.file_name().len() == 2) {
        dirs.extend(fs::read_dir(high.path())?.flatten().map(|low| low.path()));
    }
    for at in 0..FILES {
        if let Some(dir) = dirs.get(at % dirs.len().max(1)) {
            File::create(dir.join(format!("file{at:023}.bin")))?;
        }
    }
    Ok(())
}
