//! Existing clients of other projects, unchanged, against our servers.
//!
//! Needs what `tests/interop/setup.sh` installs, so it runs by `make interop`; none skips itself.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_core::protocol::address::AddrWidth;
use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use fdfs_servers::storage::RunningStorage;
use fdfs_servers::storage::config::StorageConfig;
use fdfs_servers::tracker::RunningTracker;
use fdfs_servers::tracker::config::TrackerConfig;
use std::net::SocketAddr;
use std::process::Command;

/// The exit code of a client that is not installed.
const NOT_INSTALLED: i32 = 77;

/// Runs one client; `None` when it is not installed, otherwise the scenarios it passed.
fn run(client: &str) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster =
        runtime.block_on(EmbeddedCluster::start(EmbeddedOptions::new(dir.path()))).unwrap();
    let passed = run_at(client, cluster.tracker_addr());
    runtime.block_on(cluster.shutdown()).unwrap();
    passed
}

/// The same with a tracker whose answers hold addresses of IPv6 width.
fn run_wide(client: &str) -> Option<Vec<String>> {
    let (tracker_dir, storage_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = TrackerConfig::embedded(tracker_dir.path(), any).unwrap();
    config.params.response_ip_addr_size = AddrWidth::V6;
    let (tracker, storage) = runtime.block_on(async {
        let tracker = RunningTracker::start(config).unwrap();
        let config =
            StorageConfig::embedded(storage_dir.path(), any, "group1", tracker.addr()).unwrap();
        let storage = RunningStorage::start(config).await.unwrap();
        storage.wait_active().await;
        (tracker, storage)
    });
    let passed = run_at(client, tracker.addr());
    runtime.block_on(storage.shutdown()).unwrap();
    runtime.block_on(tracker.shutdown()).unwrap();
    passed
}

fn run_at(client: &str, tracker: SocketAddr) -> Option<Vec<String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/run.sh");
    let args = [client, &tracker.ip().to_string(), &tracker.port().to_string()].map(str::to_owned);
    let output = Command::new(script).args(args).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{client}:\n{out}{err}");
    if output.status.code() == Some(NOT_INSTALLED) {
        return None;
    }
    assert!(output.status.success(), "{client} failed");
    Some(out.lines().filter_map(|line| line.strip_prefix("ok ")).map(str::to_owned).collect())
}

/// What there is to pass; a client that cannot do all of it says so in its program.
const ALL: [&str; 8] =
    ["upload", "download", "download_range", "metadata", "info", "appender", "slave", "delete"];

/// Every scenario must have been passed; one that a client leaves out is a failure.
fn expect(client: &str, passed: Option<Vec<String>>, scenarios: &[&str]) {
    let passed = passed.unwrap_or_else(|| panic!("{client} is not installed"));
    assert_eq!(passed, scenarios, "{client}");
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn python_py3fdfs() {
    expect("python", run("python"), &["upload", "download", "appender", "delete"]);
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn python_fastdfs_client_reads_wide_addresses() {
    let client = "python-fastdfs-client";
    expect(client, run_wide(client), &["upload", "download", "download_range", "delete"]);
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn node_fdfs() {
    let scenarios =
        ["upload", "download", "download_range", "metadata", "info", "appender", "delete"];
    expect("node", run("node"), &scenarios);
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn java_official() {
    expect("java", run("java"), &ALL);
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn java_tobato() {
    expect("java-tobato", run("java-tobato"), &ALL);
}

/// The original cannot be installed from a registry; where it is on PATH it must work.
#[test]
#[ignore = "run by make interop"]
fn the_originals_own_tools() {
    for passed in [run("ctools"), run_wide("ctools")].into_iter().flatten() {
        assert_eq!(passed.len(), 9, "{passed:?}");
    }
}
