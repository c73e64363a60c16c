//! How many system calls a request costs (performance plan §5, row 21). Unlike times, these figures
//! are the same on every machine.
#![allow(clippy::unwrap_used, missing_docs)]

use fdfs_tests::bench::lab::{Binaries, Cluster};
use fdfs_tests::bench::syscalls::{COUNTED, Tracing, calls_of, files, may_trace};
use fdfs_tests::daemons;
use std::io::Write as _;

/// Beats, timers and what attaching takes, for each request.
const TOLERANCE: f64 = 0.1;
/// A disk that strace makes look slow has its calls made by other threads: then another try.
const TRIES: usize = 3;

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
    let files = files(&cluster).unwrap();
    for (name, op, limit) in COUNTED {
        let limit = limit + TOLERANCE;
        let mut fewest = f64::MAX;
        let mut seen = String::new();
        for _ in 0..TRIES {
            let mut calls = calls_of(&cluster, *op, &files).unwrap();
            // The standard library of debug builds checks each descriptor before closing it.
            calls.remove("fcntl");
            let total = calls.values().sum::<f64>();
            if total < fewest {
                (fewest, seen) = (total, format!("{calls:?}"));
            }
            if fewest <= limit || *name == "delete" {
                break;
            }
        }
        assert!(fewest <= limit, "{name}: {fewest:.2} calls instead of {limit}: {seen}");
        assert!(fewest >= 2.0, "{name}: {fewest:.2} calls cannot be all: {seen}");
    }
}
