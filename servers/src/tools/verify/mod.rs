//! `fdfs verify GROUP`: whether the members of a group hold the same files.
//!
//! Names come from the members' binlogs, which they send by the command that disk recovery uses,
//! and every member is asked about every name: over the network alone, and of members of the
//! original as well. A file is the same when all have it with one size and one checksum. Of normal
//! files a member tells the checksum in the name; `--content` reads every file at every member
//! instead.

mod compare;
mod member;
mod names;

use compare::{Counts, Difference, Settings};
use fdfs_core::Result;
use fdfs_core::client::ClientOptions;
use member::{Held, Member};
use serde_json::{Value, json};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Exit code when something differs.
const DIFFERENT: u8 = 1;
/// Exit code when the members could not be compared.
const NOT_COMPARED: u8 = 2;
/// Time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// What the comparison can be told.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit codes: 0 all members hold the same, 1 they differ, 2 they could not \
                        be compared.")]
pub struct Options {
    /// The group
    group: String,
    /// Configuration with the trackers
    #[arg(long, short, default_value = "/etc/fdfs/client.conf", conflicts_with = "tracker")]
    conf: PathBuf,
    /// A tracker, HOST[:PORT], instead of a configuration; may be repeated
    #[arg(long, short)]
    tracker: Vec<String>,
    /// Read every file at every member, instead of trusting the checksums in names
    #[arg(long)]
    content: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Seconds that a difference may last before it counts: changes take a moment to reach all
    #[arg(long, default_value_t = 10)]
    settle: u64,
    /// Connections to each member
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
}

/// Compares the members and prints what differs.
pub async fn run(options: Options) -> ExitCode {
    match verify(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DIFFERENT),
        Err(error) => {
            eprintln!("fdfs: {error}");
            ExitCode::from(NOT_COMPARED)
        }
    }
}

async fn verify(options: &Options) -> Result<bool> {
    let client = match options.tracker.is_empty() {
        true => ClientOptions::from_conf(&options.conf)?,
        false => ClientOptions::new(&options.tracker)?,
    };
    let members = Member::list(&client.connect(), &options.group).await?;
    let output = Output {
        group: options.group.clone(),
        members: members.iter().map(|member| member.id.clone()).collect(),
        json: options.json,
    };
    let counts = Arc::new(Counts::default());
    let progress = Progress::show(counts.clone());
    let names = compare::names(&members).await?;
    let settings = Settings {
        parallel: options.parallel.into(),
        reads_content: options.content,
        settle_time: Duration::from_secs(options.settle),
    };
    let telling = output.clone();
    let tell = move |difference: &Difference| telling.difference(difference);
    let (differences, told) = compare::compare(&members, names, settings, &counts, tell).await?;
    drop(progress);
    let different = differences.len() as u64 + told;
    let printed = differences.iter().try_for_each(|difference| output.difference(difference));
    printed
        .and_then(|()| output.summary(counts.compared.load(Ordering::Relaxed), different))
        .map_err(|error| {
            let text = "writing the result";
            fdfs_core::Error::new(fdfs_core::ErrorKind::LocalIo, text).with_source(error)
        })?;
    Ok(different == 0)
}

/// Prints what was found.
#[derive(Debug, Clone)]
struct Output {
    group: String,
    members: Vec<String>,
    json: bool,
}

impl Output {
    fn difference(&self, (name, held): &Difference) -> io::Result<()> {
        let all = self.members.iter().zip(held);
        let line = if self.json {
            let value = |held: &Held| match held {
                Held::Missing => Value::Null,
                Held::File { size, crc32 } => json!({"size": size, "crc32": crc32}),
                Held::Refused(status) => json!({"status": status.0}),
            };
            let members: serde_json::Map<_, _> =
                all.map(|(id, held)| (id.clone(), value(held))).collect();
            json!({"name": name.to_string(), "members": members}).to_string()
        } else {
            let all: Vec<String> = all.map(|(id, held)| format!("{id}: {held}")).collect();
            format!("{}/{name}  {}", self.group, all.join("; "))
        };
        writeln!(io::stdout(), "{line}")
    }

    fn summary(&self, compared: u64, different: u64) -> io::Result<()> {
        let line = if self.json {
            json!({
                "group": self.group,
                "members": self.members,
                "names": compared,
                "different": different,
            })
            .to_string()
        } else {
            let verdict = match different {
                0 => "all the same".to_owned(),
                different => format!("{different} different"),
            };
            let members = self.members.join(", ");
            format!("{}: {compared} names at {members}: {verdict}", self.group)
        };
        writeln!(io::stdout(), "{line}")
    }
}

/// Shows how far it is where somebody is looking; gone when dropped.
#[derive(Debug)]
struct Progress(Option<tokio::task::JoinHandle<()>>);

impl Progress {
    fn show(counts: Arc<Counts>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        Self(Some(tokio::spawn(async move {
            let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
            loop {
                interval.tick().await;
                let compared = counts.compared.load(Ordering::Relaxed);
                let different = counts.different.load(Ordering::Relaxed);
                eprint!("\r{compared} names compared, {different} different at first sight ");
            }
        })))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(showing) = self.0.take() {
            showing.abort();
            // The line is wiped, so that what follows begins on a clean one.
            eprint!("\r\x1b[K");
        }
    }
}
