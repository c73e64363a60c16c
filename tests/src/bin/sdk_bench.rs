//! `fdfs-sdk-bench TRACKER SECS`: the client in Rust, the baseline of the SDKs. Each line has the
//! operation, the size, the calls at a time, calls per second, and microseconds of processor time
//! of this process for each call.
#![allow(clippy::unwrap_used, reason = "a bench that cannot call ends")]

use fdfs_core::client::{Client, ClientOptions, Range, UploadOptions};
use fdfs_core::file_id::FileId;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const SIZES: [usize; 2] = [4096, 1 << 20];
const CALLERS: [usize; 2] = [1, 64];
const WARM_UP: Duration = Duration::from_millis(300);

/// What each caller does until the time is up.
#[derive(Clone)]
enum Work {
    Upload(Vec<u8>),
    Download(FileId),
}

/// Calls of one caller; what was uploaded is returned.
async fn call(client: Client, work: Work, until: Instant) -> (u64, Vec<FileId>) {
    let (mut calls, mut stored) = (0, Vec::new());
    while Instant::now() < until {
        match &work {
            Work::Upload(content) => {
                stored.push(client.upload(content, UploadOptions::default()).await.unwrap());
            }
            Work::Download(id) => {
                client.download(id, Range::default()).await.unwrap();
            }
        }
        calls += 1;
    }
    (calls, stored)
}

/// Processor time of this process, in microseconds.
fn cpu_micros() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let micros = time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3;
    micros
}

/// Calls per second of so many callers, and processor time for each.
async fn measure(client: &Client, work: &Work, callers: usize, time: Duration) -> (f64, f64) {
    let (begin, cpu) = (Instant::now(), cpu_micros());
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        tasks.spawn(call(client.clone(), work.clone(), begin + time));
    }
    let all = tasks.join_all().await;
    let (took, cpu) = (begin.elapsed().as_secs_f64(), cpu_micros() - cpu);
    let calls: u64 = all.iter().map(|(calls, _)| calls).sum();
    for id in all.iter().flat_map(|(_, stored)| stored) {
        client.delete(id, false).await.unwrap();
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let calls = calls as f64;
    (calls / took, cpu / calls)
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(tracker), Some(secs)) = (args.next(), args.next()) else {
        eprintln!("usage: fdfs-sdk-bench TRACKER SECS");
        std::process::exit(2);
    };
    let time = Duration::from_secs_f64(secs.parse().unwrap());
    let mut options = ClientOptions::new([tracker]).unwrap();
    options.pool_size = 64;
    let client = options.connect();
    for size in SIZES {
        let content = vec![b'x'; size];
        let id = client.upload(&content, UploadOptions::default()).await.unwrap();
        for callers in CALLERS {
            let works = [
                ("upload", Work::Upload(content.clone())),
                ("download", Work::Download(id.clone())),
            ];
            for (name, work) in works {
                measure(&client, &work, callers, WARM_UP).await;
                let (rate, cpu) = measure(&client, &work, callers, time).await;
                println!("{name}\t{size}\t{callers}\t{rate:.0}\t{cpu:.1}");
            }
        }
        client.delete(&id, false).await.unwrap();
    }
}
