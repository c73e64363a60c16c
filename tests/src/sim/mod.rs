//! A whole cluster in one thread, with virtual time and faults from a seed (reliability plan T7).
//!
//! Clients work while hosts crash, links are cut, disks fill up and clocks are wrong. Then all is
//! mended, and within bounded time every member of a group must hold the same: all that was
//! acknowledged, nothing that was deleted.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a lab that fails panics")]

pub mod cluster;
pub mod disk;
pub mod faults;
mod log;
pub mod model;
pub mod unsynced;
pub mod work;

use cluster::{Cluster, Shape};
use faults::Faults;
use fdfs_core::net::sim::{Network, run, spawn_on};
use model::Model;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use work::Worker;

/// Clients at work.
const CLIENTS: u8 = 3;
/// How long the cluster has to form, and how long faults are made.
const FORM_TIME: Duration = Duration::from_secs(12);
const FAULT_TIME: Duration = Duration::from_secs(60);
/// Longest time until calls under way have ended.
const CALLS_END_MAX: Duration = Duration::from_secs(40);
/// Longest time until members are equal once everything is mended.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// They must still be so after this time.
const STAY_TIME: Duration = Duration::from_secs(15);

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong; nothing when all went well.
    pub complaints: Vec<String>,
    /// All events, the oldest first.
    pub log: Vec<String>,
    /// Operations of clients, and those among them that were acknowledged.
    pub operations: (u64, u64),
}

/// Runs a seed.
pub fn play(seed: u64, shape: Shape) -> Outcome {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("fdfs-sim-");
    let dir = if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }.unwrap();
    let root = dir.path();
    run(seed, |network| async move {
        let _logging = log::capture(&network, root);
        let (complaints, operations) = scenario(&network, shape, root).await;
        Outcome { complaints, log: network.log(), operations }
    })
}

async fn scenario(network: &Arc<Network>, shape: Shape, dir: &Path) -> (Vec<String>, (u64, u64)) {
    let model = Arc::new(Mutex::new(Model::default()));
    let (mut cluster, deaths) = Cluster::new(network, shape, dir, &model);
    let mut faults = Faults::new(network.clone(), deaths);
    faults.skew_clocks(&cluster);
    for at in 0..cluster.hosts.len() {
        cluster.start(at);
    }
    sleep(FORM_TIME).await;
    let trackers: Vec<String> =
        (1..=shape.trackers).map(|at| format!("10.0.0.{at}:22122")).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for at in 1..=CLIENTS {
        let (name, network, model) = (format!("c{at}"), network.clone(), model.clone());
        let worker = Worker::new(name, network, &trackers, cluster.binlog_files(), model);
        workers.push(spawn_on([10, 0, 100, at].into(), worker.run(stop.clone())));
    }
    faults.run(&mut cluster, Instant::now() + FAULT_TIME).await;
    faults.heal(&mut cluster).await;
    stop.store(true, Ordering::Relaxed);
    let deadline = Instant::now() + CALLS_END_MAX;
    for worker in workers {
        tokio::time::timeout_at(deadline, worker).await.expect("clients end in time").unwrap();
    }
    let mut complaints = settle(network, &cluster, shape, &model).await;
    let model = model.lock().unwrap_or_else(PoisonError::into_inner);
    complaints.extend(model.wrongs.iter().cloned());
    if !complaints.is_empty() {
        cluster.binlogs().iter().for_each(|line| network.note(format_args!("{line}")));
    }
    complaints.extend(cluster.panicked().iter().map(|ip| format!("{ip} ended in a panic")));
    (complaints, (model.operations, model.acknowledged))
}

/// Waits until all is as it must be, and stays so; what is not, if it never is.
async fn settle(
    network: &Network,
    cluster: &Cluster,
    shape: Shape,
    model: &Mutex<Model>,
) -> Vec<String> {
    let look = || {
        let model = model.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = 1..=shape.groups;
        groups
            .flat_map(|group| model.complaints(&format!("group{group}"), &cluster.trees(group)))
            .collect::<Vec<String>>()
    };
    let began = Instant::now();
    loop {
        let complaints = look();
        if complaints.is_empty() {
            network.note(format_args!("equal after {:?}", began.elapsed()));
            sleep(STAY_TIME).await;
            return look();
        }
        if began.elapsed() > SETTLE_MAX {
            return complaints;
        }
        sleep(Duration::from_secs(4)).await;
    }
}
