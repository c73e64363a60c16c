//! Measures replication of our servers beside the original's, in one run, alternating. Needs root.
#![forbid(unsafe_code)]

use clap::Parser;
use fdfs_tests::bench::replication::{Lag, Load, Pair, Replicated};
use std::path::PathBuf;
use std::time::Duration;

/// The goals: how much sooner than the original's the files must be there, and the longest lag.
const LOADS: [(&str, Load, f64); 2] = [
    ("10 000 × 4 KB", Load { files: 10_000, len: 4096 }, 1.5),
    ("1 000 × 1 MB", Load { files: 1000, len: 1 << 20 }, 1.2),
];
const LAG_P50_MAX: Duration = Duration::from_millis(20);
const LAG_P99_MAX: Duration = Duration::from_millis(200);
const LAG_LEN: usize = 4096;

/// Replication, ours beside the original's
#[derive(Parser)]
struct Args {
    /// Folder with our daemons
    #[arg(long)]
    ours: PathBuf,
    /// Folder with the original's daemons
    #[arg(long)]
    original: PathBuf,
    /// Folder for all data, removed at the end
    #[arg(long, default_value = "/dev/shm")]
    dir: PathBuf,
    /// How often everything is measured; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Everything measured of one side.
#[derive(Default)]
struct Side {
    replicated: Vec<Vec<Replicated>>,
    lags: Vec<Lag>,
}

fn measure(args: &Args, binaries: &std::path::Path, side: &mut Side) -> std::io::Result<()> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let mut pair = Pair::start(dir.path(), binaries)?;
    let done: Vec<Replicated> = LOADS.iter().map(|(_, load, _)| pair.replicate(*load)).collect();
    if let (Some(small), Some((_, load, _))) = (done.first(), LOADS.first()) {
        let rate = load.files as f64 / small.uploaded.as_secs_f64();
        side.lags.push(pair.lag(LAG_LEN, rate / 2.0));
    }
    side.replicated.push(done);
    Ok(())
}

fn median(mut values: Vec<Duration>) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

fn report([ours, theirs]: &[Side; 2]) {
    println!("| files | ours: uploaded, there | original: uploaded, there | sooner by | goal |");
    println!("|---|--:|--:|--:|--:|");
    for (at, (name, _, goal)) in LOADS.iter().enumerate() {
        let of = |side: &Side, what: fn(&Replicated) -> Duration| {
            median(side.replicated.iter().filter_map(|done| done.get(at)).map(what).collect())
        };
        let uploaded = [ours, theirs].map(|side| of(side, |done| done.uploaded));
        let arrived = [ours, theirs].map(|side| of(side, |done| done.arrived));
        let [our_upload, their_upload] = uploaded;
        let [our_arrival, their_arrival] = arrived;
        println!(
            "| {name} | {our_upload:.2} s, {our_arrival:.2} s | {their_upload:.2} s, \
             {their_arrival:.2} s | **{:.2}** | {goal} |",
            their_arrival / our_arrival
        );
    }
    let of = |side: &Side, what: fn(&Lag) -> Duration| {
        1000.0 * median(side.lags.iter().map(what).collect())
    };
    for (name, what, goal) in [
        ("lag p50", (|lag: &Lag| lag.p50) as fn(&Lag) -> Duration, LAG_P50_MAX),
        ("lag p99", |lag: &Lag| lag.p99, LAG_P99_MAX),
    ] {
        let (ours, theirs) = (of(ours, what), of(theirs, what));
        println!("| {name} | {ours:.1} ms | {theirs:.1} ms | | {goal:?} |");
    }
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let mut sides = [Side::default(), Side::default()];
    for round in 0..args.rounds {
        let mut order = [(0, &args.ours), (1, &args.original)];
        if round % 2 == 1 {
            order.reverse();
        }
        for (at, binaries) in order {
            if let Some(side) = sides.get_mut(at) {
                measure(&args, binaries, side)?;
            }
        }
    }
    report(&sides);
    Ok(())
}
