//! How many system calls a request costs (performance plan §5, row 21). Unlike times, these figures
//! are the same on every machine.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_tests::bench::lab::{Binaries, Cluster};
use fdfs_tests::bench::syscalls::{COUNTED, TOLERANCE, Tracing, count, may_trace};
use fdfs_tests::daemons;
use std::io::Write as _;

/// Times that is counted. A disk that others keep busy is slow for a while, and then files are
/// handled by threads, which costs calls; a request that always costs more exceeds every time.
const ROUNDS_MAX: usize = 5;

#[test]
fn requests_take_no_more_system_calls_than_promised() {
    match may_trace() {
        Tracing::Works => {}
        Tracing::Missing => panic!("strace is missing; `./dev test` installs it"),
        Tracing::Forbidden => {
            // Not with eprintln, which is not shown of a test that passes.
            let text = "NOT RUN: this machine allows no ptrace, system calls were not counted\n";
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let ours = Binaries { name: "ours", folder: daemons::folder().unwrap() };
    let cluster = Cluster::start(&ours, dir.path(), [127, 0, 0, 1].into(), 4).unwrap();
    let mut excess = vec![String::new()];
    for _ in 0..ROUNDS_MAX {
        excess.clear();
        let counted = count(&cluster).unwrap();
        for ((name, _, limit), calls) in COUNTED.iter().zip(counted) {
            let total = calls.values().sum::<f64>();
            assert!(total >= 2.0, "{name}: {total:.2} calls cannot be all: {calls:?}");
            if total > limit + TOLERANCE {
                excess.push(format!("{name}: {total:.2} calls, not {limit}: {calls:?}"));
            }
        }
        if excess.is_empty() {
            return;
        }
    }
    panic!("{}", excess.join("\n"));
}
