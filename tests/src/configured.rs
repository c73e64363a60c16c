//! Servers on chosen ports, configured as operators do it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test without servers fails")]

use fdfs_core::client::{Client, ClientOptions, UploadOptions};
use fdfs_core::config::Ini;
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// A port that was free a moment ago, for servers that keep theirs over a restart.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A tracker on a port of 127.0.0.1, with more lines of configuration.
pub fn tracker(dir: &Path, port: u16, more: &str) -> RunningTracker {
    let base = dir.join(format!("t{port}"));
    std::fs::create_dir_all(&base).unwrap();
    let text = format!(
        "base_path={}\nbind_addr=127.0.0.1\nport={port}\nreserved_storage_space=1%\n{more}",
        base.display()
    );
    let config = TrackerConfig::from_ini(&Ini::parse(&text), Path::new("tracker.conf")).unwrap();
    RunningTracker::start(config).unwrap()
}

/// A storage of `group1`, once a tracker knows it; `BASE` in `more` stands for its folder.
pub async fn storage(
    dir: &Path,
    ip: &str,
    port: u16,
    trackers: &[u16],
    more: &str,
) -> RunningStorage {
    let base = dir.join(format!("s{ip}-{port}"));
    std::fs::create_dir_all(base.join("second")).unwrap();
    let trackers: String =
        trackers.iter().map(|port| format!("tracker_server=127.0.0.1:{port}\n")).collect();
    let text = format!(
        "group_name=group1\nbase_path={base}\nbind_addr={ip}\nport={port}\nheart_beat_interval=1\n\
         subdir_count_per_path=8\n{trackers}{more}",
        base = base.display(),
    )
    .replace("BASE", &base.display().to_string());
    let storage = RunningStorage::start(StorageConfig::from_ini(&Ini::parse(&text)).unwrap());
    let storage = storage.await.unwrap();
    // Not "active": a second storage of a group waits for the files of the first.
    storage.wait_reported().await;
    storage
}

/// A client of these trackers.
pub fn client(trackers: &[u16]) -> Client {
    let trackers = trackers.iter().map(|port| format!("127.0.0.1:{port}"));
    ClientOptions::new(trackers).unwrap().connect()
}

/// Waits until uploads succeed.
pub async fn wait_until_storing(client: &Client) {
    for _ in 0..400 {
        if client.upload(b"x", UploadOptions::default()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nothing can be stored");
}
