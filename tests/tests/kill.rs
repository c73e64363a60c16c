//! Real daemons, killed at random while clients write: nothing acknowledged is lost, nothing wrong
//! is ever served (reliability plan T1).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use fdfs_core::client::{Client, ClientOptions, Range, UploadOptions};
use fdfs_core::file_id::FileId;
use fdfs_tests::daemons;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Times the storage is killed.
const CYCLES: usize = 20;
const WRITERS: u64 = 8;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Daemon(Child);

impl Daemon {
    fn start(name: &str, conf: &Path) -> Self {
        let mut command = Command::new(daemons::folder().unwrap().join(name));
        command.arg("-N").arg(conf).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Ends it as `kill -9` does.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What a writer knows of its files: each either acknowledged as there, or acknowledged as gone.
#[derive(Default)]
struct Known {
    there: Vec<(FileId, Vec<u8>)>,
    gone: Vec<FileId>,
    appended: Vec<(FileId, Vec<u8>, Vec<u8>)>,
}

/// Uploads, deletes and appends until it is told to stop; every error is expected, since the
/// server dies at any time. Unknown outcomes are forgotten, as a client would have to.
async fn write(client: Client, seed: u64, stop: Arc<AtomicBool>, acked: Arc<AtomicU64>) -> Known {
    let (mut random, mut known) = (Random(seed), Known::default());
    while !stop.load(Ordering::Relaxed) {
        let len = match random.next() % 10 {
            0 => 400_000 + (random.next() % 100_000) as usize,
            _ => (random.next() % 20_000) as usize,
        };
        let byte = random.next() as u8;
        let content: Vec<u8> = (0..len).map(|at| byte ^ (at % 251) as u8).collect();
        match random.next() % 4 {
            0 if !known.there.is_empty() => {
                let at = random.next() as usize % known.there.len();
                let (id, _) = known.there.swap_remove(at);
                if client.delete(&id, false).await.is_ok() {
                    acked.fetch_add(1, Ordering::Relaxed);
                    known.gone.push(id);
                }
            }
            1 => {
                let options = UploadOptions { appender: true, ..UploadOptions::ext("log") };
                let Ok(id) = client.upload(&content, options).await else { continue };
                let more = vec![byte; 5000];
                let appended = client.append(&id, &more).await.is_ok();
                acked.fetch_add(1, Ordering::Relaxed);
                known.appended.push((id, content, if appended { more } else { Vec::new() }));
            }
            _ => {
                if let Ok(id) = client.upload(&content, UploadOptions::ext("bin")).await {
                    acked.fetch_add(1, Ordering::Relaxed);
                    known.there.push((id, content));
                }
            }
        }
    }
    known
}

#[test]
fn nothing_acknowledged_is_lost_when_the_storage_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (tracker_port, storage_port) = (free_port(), free_port());
    let (tracker_conf, storage_conf) = (dir.path().join("t.conf"), dir.path().join("s.conf"));
    for name in ["t", "s"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let base = |name: &str| dir.path().join(name).display().to_string();
    let tracker_text = format!(
        "bind_addr=127.0.0.1\nport={tracker_port}\nbase_path={}\nreserved_storage_space=1%\n",
        base("t")
    );
    std::fs::write(&tracker_conf, tracker_text).unwrap();
    let storage_text = format!(
        "group_name=group1\nbind_addr=127.0.0.1\nport={storage_port}\nbase_path={}\n\
         tracker_server=127.0.0.1:{tracker_port}\nsubdir_count_per_path=4\n\
         heart_beat_interval=1\nsync_stat_file_interval=1\n",
        base("s")
    );
    std::fs::write(&storage_conf, storage_text).unwrap();
    let _tracker = Daemon::start("fdfs_trackerd", &tracker_conf);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut options = ClientOptions::new([format!("127.0.0.1:{tracker_port}")]).unwrap();
    options.retries = 0;
    let client = options.connect();
    let seed = std::env::var("FDFS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(0x5eed_0000_0001);
    println!("FDFS_SEED={seed}");
    let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (stop, acked) = (stop.clone(), acked.clone());
            runtime.spawn(write(client.clone(), seed + n * 7919, stop, acked))
        })
        .collect();
    let mut random = Random(seed);
    for cycle in 0..CYCLES {
        let storage = Daemon::start("fdfs_storaged", &storage_conf);
        let before = acked.load(Ordering::Relaxed);
        // It must come back by itself and take writes before it is killed again.
        for _ in 0..2000 {
            if acked.load(Ordering::Relaxed) > before + 20 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(acked.load(Ordering::Relaxed) > before, "cycle {cycle}: it takes no writes");
        std::thread::sleep(Duration::from_millis(random.next() % 300));
        storage.kill();
    }
    let _storage = Daemon::start("fdfs_storaged", &storage_conf);
    stop.store(true, Ordering::Relaxed);
    let known: Vec<Known> =
        writers.into_iter().map(|writer| runtime.block_on(writer).unwrap()).collect();
    runtime.block_on(wait_for_service(&client));
    let binlog = std::fs::read_to_string(dir.path().join("s/data/sync/binlog.000")).unwrap();
    let mut files = 0;
    for known in &known {
        runtime.block_on(check(&client, known, &binlog));
        files += known.there.len() + known.appended.len();
    }
    println!(
        "{CYCLES} kills, {} acknowledged, {files} files checked",
        acked.load(Ordering::Relaxed)
    );
    assert!(files > 100, "{files}");
    assert!(binlog.lines().all(|line| line.split(' ').count() >= 3), "no torn record");
}

async fn wait_for_service(client: &Client) {
    for _ in 0..400 {
        if client.upload(b"x", UploadOptions::default()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the storage does not come back");
}

async fn check(client: &Client, known: &Known, binlog: &str) {
    for (id, content) in &known.there {
        let got = client.download(id, Range::default()).await;
        assert!(got.as_ref().is_ok_and(|got| got == content), "{id}: lost or wrong");
        assert!(binlog.contains(&format!(" C {}", id.path())), "{id}: not in the binlog");
    }
    for (id, first, more) in &known.appended {
        let got = client.download(id, Range::default()).await.unwrap();
        let acked = [&first[..], more].concat();
        // An append without an answer may be there, in whole or, unacknowledged, in part.
        assert!(got.starts_with(&acked), "{id}: an acknowledged append is lost");
    }
    for id in &known.gone {
        assert!(!client.exists(id).await.unwrap(), "{id}: deleted, and there again");
        assert!(binlog.contains(&format!(" D {}", id.path())), "{id}: deletion not in the binlog");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
