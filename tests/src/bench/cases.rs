//! The matrix of measurements (plan §5) and what one of them does.

use super::lab::Cluster;
use super::load::{Measured, Plan, run};
use super::work::{Op, Stored, Work};
use std::collections::HashMap;
use std::io;
use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Content that one run moves at most: what it writes must fit into memory.
const WRITTEN_MAX: u64 = 3 << 30;
/// The longest time before a run counts; deletions and huge files have none.
const WARM_UP: Duration = Duration::from_millis(500);
/// Connections that prepare files.
const PREPARING: usize = 8;

/// What is measured, and what the plan asks of ours ÷ the original's.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Name in the report.
    pub name: &'static str,
    op: Op,
    sizes: &'static [usize],
    connections: usize,
    /// Least ratio of rates.
    pub rate_goal: Option<f64>,
    /// Greatest ratio of processor times.
    pub cpu_goal: Option<f64>,
    /// On a file system with a journal instead of in memory.
    pub on_disk: bool,
}

const fn case(
    name: &'static str,
    (op, sizes, connections): (Op, &'static [usize], usize),
    rate_goal: f64,
    cpu_goal: f64,
) -> Case {
    let (rate_goal, cpu_goal) = (Some(rate_goal), Some(cpu_goal));
    Case { name, op, sizes, connections, rate_goal, cpu_goal, on_disk: false }
}

const MIXED: &[usize] = &[4 * KIB, 16 * KIB, 64 * KIB];

/// Rows 1 to 13 of the plan. Deletions come last, as what they leave behind slows others.
pub const CASES: &[Case] = &[
    case("upload 1 KiB ×16", (Op::Upload, &[KIB], 16), 2.0, 0.45),
    case("upload 4 KiB ×16", (Op::Upload, &[4 * KIB], 16), 2.0, 0.45),
    case("upload 4 KiB ×64", (Op::Upload, &[4 * KIB], 64), 2.0, 0.45),
    Case { rate_goal: None, ..case("upload 4 KiB ×1", (Op::Upload, &[4 * KIB], 1), 1.0, 0.6) },
    case("upload 64 KiB ×16", (Op::Upload, &[64 * KIB], 16), 3.0, 0.35),
    case("upload 1 MiB ×16", (Op::Upload, &[MIB], 16), 4.0, 0.25),
    case("upload 1 MiB ×1", (Op::Upload, &[MIB], 1), 4.0, 0.25),
    case("upload 64 MiB ×2", (Op::Upload, &[64 * MIB], 2), 4.0, 0.25),
    case("download 1 KiB ×16", (Op::Download, &[KIB], 16), 1.4, 0.7),
    case("download 4 KiB ×16", (Op::Download, &[4 * KIB], 16), 1.4, 0.7),
    case("download 4 KiB ×64", (Op::Download, &[4 * KIB], 64), 1.4, 0.7),
    case("download 4 KiB ×256", (Op::Download, &[4 * KIB], 256), 1.4, 0.7),
    Case { rate_goal: None, ..case("download 4 KiB ×1", (Op::Download, &[4 * KIB], 1), 1.0, 0.7) },
    case("download 64 KiB ×16", (Op::Download, &[64 * KIB], 16), 1.3, 0.75),
    case("download 1 MiB ×16", (Op::Download, &[MIB], 16), 1.1, 0.75),
    case("download 64 MiB ×2", (Op::Download, &[64 * MIB], 2), 1.1, 0.75),
    case("mixed 4–64 KiB ×64", (Op::Mixed, MIXED, 64), 1.5, 0.55),
    case("append 4 KiB ×16", (Op::Append, &[4 * KIB], 16), 1.6, 0.6),
    case("modify 4 KiB ×16", (Op::Modify, &[4 * KIB], 16), 1.6, 0.6),
    case("set metadata ×1", (Op::SetMetadata, &[KIB], 1), 1.0, 0.7),
    case("set metadata ×16", (Op::SetMetadata, &[KIB], 16), 1.2, 0.7),
    case("get metadata ×16", (Op::GetMetadata, &[KIB], 16), 1.3, 0.7),
    case("file info ×16", (Op::Info, &[KIB], 16), 1.4, 0.75),
    case("ping ×16", (Op::Ping, &[], 16), 1.6, 0.75),
    case("query store ×1", (Op::QueryStore, &[], 1), 1.3, 0.75),
    case("query store ×16", (Op::QueryStore, &[], 16), 1.3, 0.75),
    case("query store ×256", (Op::QueryStore, &[], 256), 1.3, 0.75),
    case("query fetch ×16", (Op::QueryFetch, &[KIB], 16), 1.3, 0.75),
    case("delete 4 KiB ×16", (Op::Delete, &[4 * KIB], 16), 1.5, 0.6),
    Case {
        on_disk: true,
        ..case("set metadata ×16, ext4", (Op::SetMetadata, &[KIB], 16), 3.0, 0.7)
    },
    Case {
        on_disk: true,
        ..case("upload 4 KiB ×16, ext4", (Op::Upload, &[4 * KIB], 16), 2.0, 0.45)
    },
    Case { on_disk: true, ..case("upload 1 MiB ×4, ext4", (Op::Upload, &[MIB], 4), 1.3, 0.5) },
];

impl Case {
    fn on_tracker(&self) -> bool {
        matches!(self.op, Op::QueryStore | Op::QueryFetch)
    }

    fn writes(&self) -> bool {
        matches!(self.op, Op::Upload | Op::Append | Op::Mixed | Op::Delete)
    }

    /// Files that must be there before.
    fn prepared(&self) -> usize {
        match self.op {
            Op::Upload | Op::Append | Op::Modify | Op::Ping | Op::QueryStore => 0,
            Op::Delete => 60_000,
            _ => match self.sizes.iter().max() {
                Some(..=65_536) => 1024,
                Some(..=MIB) => 64,
                _ => 2,
            },
        }
    }
}

/// Runs cases on one cluster, and keeps the files prepared for them.
#[derive(Debug)]
pub struct Runner {
    /// The cluster.
    pub cluster: Cluster,
    prepared: HashMap<(&'static [usize], usize), Vec<Stored>>,
    time: Duration,
}

impl Runner {
    /// Runs of this length each.
    pub fn new(cluster: Cluster, time: Duration) -> Self {
        Self { cluster, prepared: HashMap::new(), time }
    }

    fn load(&self, case: &Case, work: &mut Work, warm_up: Duration) -> io::Result<Measured> {
        let cluster = &self.cluster;
        let server = if case.on_tracker() { &cluster.tracker } else { &cluster.storage };
        let plan = Plan {
            addr: server.addr,
            connections: case.connections,
            warm_up,
            time: self.time,
            bytes_max: if case.writes() { WRITTEN_MAX } else { u64::MAX },
        };
        run(plan, work, || server.cpu_micros())
    }

    /// Uploads files for a case to use.
    fn prepare(&self, case: &Case) -> io::Result<Vec<Stored>> {
        let mut files = Vec::new();
        let count = case.prepared();
        for size in case.sizes {
            let mut work = Work::new(Op::Upload, &[*size], Vec::new());
            let wanted = count / case.sizes.len();
            let plan = Plan {
                addr: self.cluster.storage.addr,
                connections: PREPARING.min(wanted),
                warm_up: Duration::ZERO,
                time: Duration::from_secs(600),
                bytes_max: (size * wanted) as u64,
            };
            run(plan, &mut work, || 0.0)?;
            files.append(&mut work.into_made());
        }
        Ok(files)
    }

    /// Measures one case once.
    pub fn measure(&mut self, case: &Case) -> io::Result<Measured> {
        let files = if case.op == Op::Delete {
            self.prepare(case)?
        } else {
            let key = (case.sizes, case.prepared());
            if !self.prepared.contains_key(&key) {
                let files = if case.prepared() > 0 { self.prepare(case)? } else { Vec::new() };
                self.prepared.insert(key, files);
            }
            self.prepared.get(&key).cloned().unwrap_or_default()
        };
        if case.op == Op::GetMetadata {
            let mut work = Work::new(Op::SetMetadata, case.sizes, files.clone());
            self.load(case, &mut work, Duration::ZERO)?;
        }
        if case.writes() && !case.on_disk {
            self.cluster.touch_memory(WRITTEN_MAX)?;
        }
        let mut work = Work::new(case.op, case.sizes, files);
        let brief = case.op == Op::Delete || case.sizes.iter().any(|size| *size > MIB);
        let measured = self.load(case, &mut work, if brief { Duration::ZERO } else { WARM_UP })?;
        self.sweep(work.into_made());
        Ok(measured)
    }

    /// Removes what a run has made, behind the server's back and outside of any measured time.
    fn sweep(&self, made: Vec<Stored>) {
        for stored in made {
            let name = stored.name.to_string();
            if let Some((_, file)) = name.split_once('/') {
                let _ = std::fs::remove_file(self.cluster.data().join(file));
            }
        }
    }
}
