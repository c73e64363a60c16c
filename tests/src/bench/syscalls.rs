//! System calls of a server for one request, counted by strace: a figure that does not depend on
//! the machine (plan §6.5).

use super::lab::{Cluster, Server};
use super::load::{Plan, run};
use super::work::{Op, Stored, Work};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Requests counted of each kind at a time.
const REQUESTS: usize = 300;
/// Times that each kind is counted at most; the fewest calls are its figure. Being traced makes
/// everything slow, and what takes a storage too long it hands to other threads, with calls that
/// tell about the tracing.
const TRIES: usize = 15;
/// What attaching and the beats of the server add to the calls of one request; a call more in the
/// request itself is 1.
pub const TOLERANCE: f64 = 0.3;
/// Longest wait for strace to attach.
const ATTACH_TIME_MAX: Duration = Duration::from_secs(10);
const FILE_LEN: usize = 4096;

/// Requests whose calls are counted, and how many one may take. Plan §5, row 21, allows one more
/// for uploads and downloads. A deletion looks before it is recorded and made: one more.
pub const COUNTED: &[(&str, Op, f64)] = &[
    ("upload 4 KiB", Op::Upload, 7.0),
    ("download 4 KiB", Op::Download, 6.0),
    ("file info", Op::Info, 4.0),
    ("append 4 KiB", Op::Append, 8.0),
    ("ping", Op::Ping, 3.0),
    ("query store", Op::QueryStore, 3.0),
    ("query fetch", Op::QueryFetch, 3.0),
    ("delete", Op::Delete, 7.0),
];

/// Whether processes can be traced here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// Yes.
    Works,
    /// There is no strace.
    Missing,
    /// The kernel or the container forbids it.
    Forbidden,
}

/// Whether strace is there and may trace.
pub fn may_trace() -> Tracing {
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "true"]).stderr(Stdio::null());
    match strace.status() {
        Ok(status) if status.success() => Tracing::Works,
        Ok(_) => Tracing::Forbidden,
        Err(_) => Tracing::Missing,
    }
}

fn is_traced(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().all(|task| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}

/// The calls that a process makes during `work`, by name.
fn trace(
    pid: u32,
    out: &Path,
    work: impl FnOnce() -> io::Result<()>,
) -> io::Result<BTreeMap<String, u64>> {
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(out).args(["-p", &pid.to_string()]);
    let mut strace = command.stderr(Stdio::null()).spawn()?;
    let began = Instant::now();
    while !is_traced(pid) {
        if began.elapsed() > ATTACH_TIME_MAX {
            let _ = strace.kill();
            return Err(io::Error::other("strace cannot attach"));
        }
        sleep(Duration::from_millis(10));
    }
    let done = work();
    if let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::INT)?;
    }
    strace.wait()?;
    done?;
    let text = fs::read_to_string(out)?;
    let counts = text.lines().filter_map(|line| {
        // % time, seconds, µs/call, calls, errors when there are any, name.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = fields.last().filter(|name| **name != "total")?;
        Some(((*name).to_owned(), fields.get(3)?.parse().ok()?))
    });
    Ok(counts.collect())
}

fn requests(server: &Server, op: Op, files: Vec<Stored>, count: usize) -> io::Result<Vec<Stored>> {
    let mut work = Work::new(op, &[FILE_LEN], files).limited(count);
    let plan = Plan {
        addr: server.addr,
        connections: 1,
        warm_up: Duration::ZERO,
        time: Duration::from_secs(600),
        bytes_max: u64::MAX,
    };
    run(plan, &mut work, || 0.0)?;
    Ok(work.into_made())
}

type Calls = BTreeMap<String, f64>;

fn total(calls: &Calls) -> f64 {
    calls.values().sum()
}

fn count_once(cluster: &Cluster, op: Op, files: Vec<Stored>) -> io::Result<Calls> {
    let server = match op {
        Op::QueryStore | Op::QueryFetch => &cluster.tracker,
        _ => &cluster.storage,
    };
    let out = cluster.dir().join("strace");
    let mut calls = trace(server.pid(), &out, || requests(server, op, files, REQUESTS).map(drop))?;
    // The thread that looks at the time now and then.
    calls.retain(|name, _| !matches!(&**name, "clock_nanosleep" | "restart_syscall"));
    if cfg!(debug_assertions) {
        // The standard library checks each descriptor before closing it.
        calls.remove("fcntl");
    }
    #[allow(clippy::cast_precision_loss, reason = "a measurement")]
    let each = |(name, calls)| (name, calls as f64 / REQUESTS as f64);
    Ok(calls.into_iter().map(each).collect())
}

/// Calls for one request of each kind in [`COUNTED`], by name.
pub fn count(cluster: &Cluster) -> io::Result<Vec<Calls>> {
    let upload = || requests(&cluster.storage, Op::Upload, Vec::new(), REQUESTS);
    let files = upload()?;
    let counted = COUNTED.iter().map(|(_, op, limit)| {
        let mut fewest: Option<Calls> = None;
        for _ in 0..TRIES {
            let files = if matches!(op, Op::Delete) { upload()? } else { files.clone() };
            let calls = count_once(cluster, *op, files)?;
            if fewest.as_ref().is_none_or(|fewest| total(&calls) < total(fewest)) {
                fewest = Some(calls);
            }
            if fewest.as_ref().is_some_and(|fewest| total(fewest) <= limit + TOLERANCE) {
                break;
            }
        }
        Ok(fewest.unwrap_or_default())
    });
    counted.collect()
}
