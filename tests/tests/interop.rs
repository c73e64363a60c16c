//! Existing clients of other projects, unchanged, against our servers.
//!
//! Needs what `tests/interop/setup.sh` installs, so it runs by `make interop`; none skips itself.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_servers::embedded::{EmbeddedCluster, EmbeddedOptions};
use std::process::Command;

/// The exit code of a client that is not installed.
const NOT_INSTALLED: i32 = 77;

/// Runs one client; `None` when it is not installed, otherwise the scenarios it passed.
fn run(client: &str) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster =
        runtime.block_on(EmbeddedCluster::start(EmbeddedOptions::new(dir.path()))).unwrap();
    let tracker = cluster.tracker_addr();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/run.sh");
    let args = [client, &tracker.ip().to_string(), &tracker.port().to_string()].map(str::to_owned);
    let output = Command::new(script).args(args).output().unwrap();
    runtime.block_on(cluster.shutdown()).unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{client}:\n{out}{err}");
    if output.status.code() == Some(NOT_INSTALLED) {
        return None;
    }
    assert!(output.status.success(), "{client} failed");
    Some(out.lines().filter_map(|line| line.strip_prefix("ok ")).map(str::to_owned).collect())
}

/// Every scenario must have been passed; one that a client leaves out is a failure.
fn expect(client: &str, scenarios: &[&str]) {
    let passed = run(client).unwrap_or_else(|| panic!("{client} is not installed"));
    assert_eq!(passed, scenarios, "{client}");
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn python_py3fdfs() {
    expect("python", &["upload", "download", "appender", "delete"]);
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn node_fdfs() {
    expect("node", &["upload", "download", "download_range", "metadata", "info", "delete"]);
}

#[test]
#[ignore = "run by make interop, which installs the client"]
fn java_official() {
    let all =
        ["upload", "download", "download_range", "metadata", "info", "appender", "slave", "delete"];
    expect("java", &all);
}

/// The original cannot be installed from a registry; where it is on PATH it must work.
#[test]
#[ignore = "run by make interop"]
fn the_originals_own_tools() {
    if let Some(passed) = run("ctools") {
        assert_eq!(passed.len(), 9, "{passed:?}");
    }
}
