//! `make bench`: the matrix of the performance plan, ours alone or beside the original.

use clap::Parser;
use fdfs_tests::bench::cases::{CASES, Case, Runner};
use fdfs_tests::bench::costs::{self, COSTS};
use fdfs_tests::bench::lab::{Binaries, Cluster, pin_load};
use fdfs_tests::bench::report::{Cost, Figures, Line, Report};
use fdfs_tests::bench::{floor, syscalls};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Measures the servers.
#[derive(Debug, Parser)]
struct Options {
    /// Folder of our binaries.
    #[arg(long)]
    ours: PathBuf,
    /// Folder of the original's binaries, measured alternately.
    #[arg(long)]
    original: Option<PathBuf>,
    /// Working folder, in memory.
    #[arg(long, default_value = "/dev/shm")]
    dir: PathBuf,
    /// Folder for images of file systems with a journal; needs the rights to mount.
    #[arg(long)]
    disk: Option<PathBuf>,
    /// Address of this host that all servers listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Seconds of each run.
    #[arg(long, default_value_t = 10.0)]
    secs: f64,
    /// Runs of each case, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Without memory, starts and system calls.
    #[arg(long)]
    no_costs: bool,
    /// Earlier figures to compare with.
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// Where the tables and the JSON go.
    #[arg(long)]
    out: PathBuf,
}

/// A file system with a journal in a file of its own, fresh for each run (plan §6.2).
struct Image {
    mount: PathBuf,
    file: PathBuf,
}

fn command(program: &str, args: &[&Path]) -> io::Result<()> {
    let out = Command::new(program).args(args).output()?;
    match out.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&out.stderr).into_owned();
            Err(io::Error::other(format!("{program}: {text}")))
        }
    }
}

impl Image {
    fn mount(folder: &Path, name: &str) -> io::Result<Self> {
        let (file, mount) = (folder.join(format!("{name}.img")), folder.join(name));
        fs::create_dir_all(&mount)?;
        fs::File::create(&file)?.set_len(4 << 30)?;
        command("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &file])?;
        command("mount", &["-o".as_ref(), "loop".as_ref(), &file, &mount])?;
        Ok(Self { mount, file })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = command("umount", &[&self.mount]);
        let _ = fs::remove_file(&self.file);
    }
}

struct Bench {
    options: Options,
    sides: Vec<Binaries>,
    work: tempfile::TempDir,
}

impl Bench {
    /// Alternates the sides in each round.
    fn in_memory(&self, cases: &[Case]) -> io::Result<Vec<Line>> {
        let time = Duration::from_secs_f64(self.options.secs);
        let start = |side: &Binaries| {
            let dir = self.work.path().join(side.name);
            Ok(Runner::new(Cluster::start(side, &dir, self.options.host, 256)?, time))
        };
        let mut runners = self.sides.iter().map(start).collect::<io::Result<Vec<_>>>()?;
        let mut lines = Vec::new();
        for case in cases {
            let mut runs: Vec<Vec<_>> = self.sides.iter().map(|_| Vec::new()).collect();
            for _ in 0..self.options.rounds {
                for (runner, runs) in runners.iter_mut().zip(&mut runs) {
                    runs.push(runner.measure(case)?);
                }
            }
            lines.push(
                self.line(case, &runs.iter().map(|runs| Figures::of(runs)).collect::<Vec<_>>()),
            );
        }
        Ok(lines)
    }

    /// The same with a fresh file system for each run.
    fn on_disk(&self, folder: &Path, cases: &[Case]) -> io::Result<Vec<Line>> {
        let time = Duration::from_secs_f64(self.options.secs);
        let mut lines = Vec::new();
        for case in cases {
            let mut runs: Vec<Vec<_>> = self.sides.iter().map(|_| Vec::new()).collect();
            for _ in 0..self.options.rounds {
                for (side, runs) in self.sides.iter().zip(&mut runs) {
                    let image = Image::mount(folder, side.name)?;
                    let cluster = Cluster::start(side, &image.mount, self.options.host, 256)?;
                    runs.push(Runner::new(cluster, time).measure(case)?);
                }
            }
            lines.push(
                self.line(case, &runs.iter().map(|runs| Figures::of(runs)).collect::<Vec<_>>()),
            );
        }
        Ok(lines)
    }

    fn line(&self, case: &Case, figures: &[Figures]) -> Line {
        let ours = figures.first().copied().unwrap_or_default();
        eprintln!("{}: {:.0}/s, {:.1} µs", case.name, ours.rate, ours.cpu);
        Line { case: *case, ours, original: figures.get(1).copied() }
    }

    fn costs(&self) -> io::Result<Vec<Cost>> {
        let mut measured = Vec::new();
        for side in &self.sides {
            let dir = |part: &str| self.work.path().join(format!("{}-{part}", side.name));
            let mut values = costs::measure(side, &dir("costs"), self.options.host)?.to_vec();
            fs::remove_dir_all(dir("costs"))?;
            let cluster = Cluster::start(side, &dir("calls"), self.options.host, 256)?;
            let counted = syscalls::count(&cluster)?;
            values.extend(counted.iter().map(|calls| calls.values().sum::<f64>()));
            measured.push(values);
        }
        let names = COSTS.iter().map(|(name, limit)| ((*name).to_owned(), *limit));
        let counted = syscalls::COUNTED.iter();
        let names = names.chain(counted.map(|(name, _, limit)| {
            (format!("system calls of one {name}"), *limit + syscalls::TOLERANCE)
        }));
        let at = |side: usize, at: usize| Some(*measured.get(side)?.get(at)?);
        let costs = names.enumerate().map(|(index, (name, limit))| Cost {
            name,
            ours: at(0, index).unwrap_or(f64::NAN),
            original: at(1, index),
            limit: Some(limit),
        });
        Ok(costs.collect())
    }

    fn run(&self) -> io::Result<()> {
        let options = &self.options;
        let floor = floor::measure(self.work.path(), options.host)?;
        let chosen = CASES.iter().filter(|case| case.name.contains(&options.only));
        let (on_disk, in_memory): (Vec<Case>, Vec<Case>) = chosen.partition(|case| case.on_disk);
        let mut lines = self.in_memory(&in_memory)?;
        match &options.disk {
            Some(folder) => lines.extend(self.on_disk(folder, &on_disk)?),
            None => eprintln!("not measured without --disk: {} cases", on_disk.len()),
        }
        let costs = if options.no_costs { Vec::new() } else { self.costs()? };
        let report = Report { floor, lines, costs };
        let baseline = options.baseline.as_ref().filter(|path| path.exists()).map(|path| {
            let text = fs::read_to_string(path)?;
            serde_json::from_str(&text).map_err(io::Error::other)
        });
        let tables = report.tables(baseline.transpose()?.as_ref());
        println!("{tables}");
        fs::create_dir_all(&options.out)?;
        fs::write(options.out.join("report.md"), tables)?;
        fs::write(options.out.join("report.json"), format!("{:#}\n", report.json()))?;
        fs::write(options.out.join("baseline.json"), format!("{:#}\n", report.baseline()))
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    pin_load();
    let ours = Binaries { name: "ours", folder: options.ours.clone() };
    let original = options.original.clone();
    let original = original.map(|folder| Binaries { name: "original", folder });
    let sides = std::iter::once(ours).chain(original).collect();
    let work = tempfile::Builder::new().prefix("fdfs-bench").tempdir_in(&options.dir)?;
    Bench { options, sides, work }.run()
}
