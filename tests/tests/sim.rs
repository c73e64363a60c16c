//! Seeds of the simulation; `make sim` says which.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use fdfs_tests::sim::cluster::Shape;
use fdfs_tests::sim::{Outcome, play};
use std::sync::atomic::{AtomicUsize, Ordering};

const SHAPE: Shape = Shape { trackers: 3, groups: 2, storages: 3 };

/// Seeds played when nobody says how many.
const SEEDS: u64 = 200;

/// Seeds that failed once; what was wrong then must not come back.
const KEPT_SEEDS: &[u64] = &[
    2, 5, 8, 9, 17, 18, 26, 29, 34, 40, 44, 63, 68, 86, 100, 130, 134, 188, 259, 413, 600, 829,
    871, 1099, 1240, 1243, 1258, 1287, 1375, 1552, 1803, 3546, 4902, 5520, 6111, 6550, 9674, 9765,
    9933, 10_775, 10_812, 15_433, 15_669, 17_416, 17_426,
];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn is_fine(seed: u64, outcome: &Outcome) -> bool {
    if outcome.complaints.is_empty() {
        return true;
    }
    let path = std::env::temp_dir().join(format!("fdfs-sim-{seed}.log"));
    std::fs::write(&path, outcome.log.join("\n")).unwrap();
    eprintln!("seed {seed} failed; its events are in {}", path.display());
    outcome.complaints.iter().for_each(|complaint| eprintln!("  {complaint}"));
    false
}

/// Plays seeds on all processors; gives those that failed.
fn play_all(seeds: impl Iterator<Item = u64>) -> Vec<u64> {
    let seeds: Vec<u64> = seeds.collect();
    let (next, failed) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A panic is a failure of its seed, and has said why.
                    let outcome = std::panic::catch_unwind(|| play(*seed, SHAPE));
                    if !outcome.is_ok_and(|outcome| is_fine(*seed, &outcome)) {
                        failed.lock().unwrap().push(*seed);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn members_agree_on_all_that_was_acknowledged_after_any_faults() {
    let (first, count) = (number("FIRST").unwrap_or(1), number("SEEDS").unwrap_or(SEEDS));
    let began = std::time::Instant::now();
    let failed = play_all(first..first + count);
    eprintln!("{count} seeds from {first} in {:?}", began.elapsed());
    assert!(failed.is_empty(), "{} seeds failed: {failed:?}", failed.len());
}

#[test]
fn seeds_that_failed_once_do_not_fail_again() {
    let failed = play_all(KEPT_SEEDS.iter().copied());
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in [1, 2, 3] {
        let (first, second) = (play(seed, SHAPE), play(seed, SHAPE));
        let differing = first.log.iter().zip(&second.log).find(|(one, other)| one != other);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(first.log.len(), second.log.len(), "seed {seed}");
        assert!(first.operations.1 > 50, "clients did something: {:?}", first.operations);
    }
}
