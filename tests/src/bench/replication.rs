//! How fast a group replicates: the time until files uploaded to one member are on the other, and
//! how far behind the other is while files keep coming.

use crate::lan::Lan;
use crate::members::{Members, STORAGE_PORT, TRACKER, wait};
use crate::raw::Raw;
use crate::requests::upload;
use fdfs_core::client::StorageStatus;
use fdfs_core::protocol::Command;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Connections that upload.
const UPLOADERS: usize = 8;
/// Longest time until all files must have arrived.
const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(300);
/// Between two looks for a file that has not arrived.
const LOOK_INTERVAL: Duration = Duration::from_micros(500);
/// How long files keep coming.
const STEADY_TIME: Duration = Duration::from_secs(10);

/// Files of one size.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many.
    pub files: usize,
    /// Bytes of each.
    pub len: usize,
}

/// What was measured of one group.
#[derive(Debug, Clone, Copy)]
pub struct Replicated {
    /// From the first upload until all were answered.
    pub uploaded: Duration,
    /// From the first upload until all were on the other member.
    pub arrived: Duration,
}

/// How long files took from the answer to their upload until they were on the other member.
#[derive(Debug, Clone, Copy)]
pub struct Lag {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

/// A group of two on a network of its own, which the calling thread has entered.
#[derive(Debug)]
pub struct Pair {
    members: Members,
}

impl Pair {
    /// Starts tracker and storages from a folder of binaries.
    pub fn start(dir: &Path, binaries: &Path) -> io::Result<Self> {
        let mut members = Members::new(dir, &vec![binaries.to_owned(); 3], "")?;
        members.lan.enter()?;
        let runtime = Runtime::new()?;
        members.start(TRACKER);
        for host in members.storages() {
            members.start(host);
            members.wait_status(&runtime, host, StorageStatus::ACTIVE);
        }
        let mut pair = Self { members };
        // Members of the original take seconds to begin sending to each other.
        pair.replicate(Load { files: 1, len: 1 });
        Ok(pair)
    }

    /// Where a file must arrive.
    fn arrival(&self, name: &str) -> PathBuf {
        let true_name = name.split_once('/').map_or(name, |(_, true_name)| true_name);
        self.members.base(2).join("data").join(true_name)
    }

    /// Uploads to the first member, as fast as it takes them, and waits for all at the second.
    pub fn replicate(&mut self, load: Load) -> Replicated {
        let content = vec![7; load.len];
        let left = AtomicUsize::new(load.files);
        let began = Instant::now();
        let names: Vec<String> = scope(|scope| {
            let uploaders: Vec<_> = (0..UPLOADERS.min(load.files))
                .map(|_| {
                    scope.spawn(|| {
                        let mut raw = Raw::connect((Lan::addr(1), STORAGE_PORT).into());
                        let mut names = Vec::new();
                        let take = |left: usize| left.checked_sub(1);
                        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
                        {
                            names.push(upload(&mut raw, Command::UPLOAD_FILE, &content, "bin"));
                        }
                        names
                    })
                })
                .collect();
            uploaders.into_iter().flat_map(|uploader| uploader.join().unwrap_or_default()).collect()
        });
        let uploaded = began.elapsed();
        let mut missing = names.iter().map(|name| self.arrival(name)).peekable();
        wait("all files have arrived", ARRIVAL_TIME_MAX, || {
            while missing.next_if(|path| is_whole(path, load.len)).is_some() {}
            missing.peek().is_none()
        });
        Replicated { uploaded, arrived: began.elapsed() }
    }

    /// Uploads at a steady rate, and tells how late the files arrive.
    pub fn lag(&self, len: usize, files_per_sec: f64) -> Lag {
        let (send, arriving) = mpsc::channel::<(PathBuf, Instant)>();
        let content = vec![7; len];
        let mut lags: Vec<Duration> = scope(|scope| {
            let watcher = scope.spawn(move || {
                let mut lags = Vec::new();
                for (path, uploaded) in arriving {
                    while !is_whole(&path, len) && uploaded.elapsed() < ARRIVAL_TIME_MAX {
                        sleep(LOOK_INTERVAL);
                    }
                    lags.push(uploaded.elapsed());
                }
                lags
            });
            let mut raw = Raw::connect((Lan::addr(1), STORAGE_PORT).into());
            let began = Instant::now();
            let mut sent = 0.0;
            while began.elapsed() < STEADY_TIME {
                let due = began + Duration::from_secs_f64(sent / files_per_sec);
                sleep(due.saturating_duration_since(Instant::now()));
                let name = upload(&mut raw, Command::UPLOAD_FILE, &content, "bin");
                // The watcher lives until this end is dropped.
                let _ = send.send((self.arrival(&name), Instant::now()));
                sent += 1.0;
            }
            drop(send);
            watcher.join().unwrap_or_default()
        });
        lags.sort_unstable();
        let at = |part: usize| lags.get(lags.len() * part / 100).copied().unwrap_or_default();
        Lag { p50: at(50), p99: at(99) }
    }
}

fn is_whole(path: &Path, len: usize) -> bool {
    path.metadata().is_ok_and(|meta| meta.len() == len as u64)
}
