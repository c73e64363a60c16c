//! The command line of the daemons, pid files, signals (spec 04 Part C, 07 §1).
//!
//! A daemon is this program started again, without a terminal and in a session of its own: the
//! first process has already read the configuration, so that its exit code is honest.

use super::log::{LineFormat, LogFile, level_of};
use crate::config_file::Framework;
use fdfs_core::config::{ConfigError, Ini};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

/// How long `stop` waits before it kills.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the first process waits for word from the daemon.
const READY_TIME_MAX: Duration = Duration::from_secs(10);
/// Tells the second process that it is the daemon.
const DAEMON_MARK: &str = "FDFS_DAEMON";

const USAGE: &str = "[options] <config_file> [start | stop | restart | status]

options:
\t-N | --no-daemon: run in foreground
\t-V | --version: show version info
\t-h | --help: for this usage
";

/// What the two daemons differ in.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Program name.
    pub name: &'static str,
    /// Name of the log file in `logs`.
    pub log: &'static str,
    /// Workers of the runtime beyond those that serve connections.
    pub spare_workers: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Run { conf: PathBuf, action: String, foreground: bool },
    Exit(i32),
}

/// Runs a daemon: `check` reads the configuration, `serve` serves until it is told to stop.
pub fn main<C, F>(
    spec: Spec,
    check: impl Fn(&Ini, &Path) -> Result<(C, Framework, Vec<String>), ConfigError>,
    serve: impl FnOnce(C, Ready, Stop) -> F,
) -> i32
where
    F: Future<Output = Result<(), String>>,
{
    let (conf, action, foreground) = match parse(spec, std::env::args_os().skip(1)) {
        Parsed::Exit(code) => return code,
        Parsed::Run { conf, action, foreground } => (conf, action, foreground),
    };
    // The daemon changes its directory; a relative name would not be found again.
    let conf = std::path::absolute(&conf).unwrap_or(conf);
    let loaded = crate::config_file::load(&conf);
    let ini = match loaded {
        Ok(ini) => ini,
        Err(error) => return fail(&error.to_string(), error.errno()),
    };
    let base_path = PathBuf::from(ini.global().get("base_path").unwrap_or_default());
    let pid_file = base_path.join("data").join(format!("{}.pid", spec.name));
    match act(spec, &action, &pid_file) {
        Some(code) => return code,
        None => tracing::debug!("starting"),
    }
    let (config, framework, warnings) = match check(&ini, &conf) {
        Ok(checked) => checked,
        Err(error) => return fail(&error.to_string(), error.errno()),
    };
    if let Err(error) = framework.prepare_base_path() {
        return fail(&error.to_string(), error.errno());
    }
    let is_daemon = std::env::var_os(DAEMON_MARK).is_some();
    if !foreground && !is_daemon {
        return start_daemon(spec, &conf);
    }
    match run(spec, &framework, &warnings, &pid_file, is_daemon, |ready, stop| {
        serve(config, ready, stop)
    }) {
        Ok(()) => 0,
        Err(message) => {
            tracing::error!("{message}; exiting");
            fail(&message, 1)
        }
    }
}

fn fail(message: &str, code: u8) -> i32 {
    eprintln!("ERROR - {message}");
    code.into()
}

fn parse(spec: Spec, args: impl Iterator<Item = OsString>) -> Parsed {
    let usage = |code| {
        eprintln!("\nUsage: {} {USAGE}", spec.name);
        Parsed::Exit(code)
    };
    let (mut plain, mut foreground, mut any) = (Vec::new(), false, false);
    for arg in args {
        any = true;
        match arg.to_str() {
            Some("-N" | "--no-daemon") => foreground = true,
            Some("-V" | "--version") => {
                let version = env!("CARGO_PKG_VERSION");
                let compatible = fdfs_core::protocol::COMPATIBLE_VERSION;
                println!("\n{} V{compatible} (fdfs {version})\n", spec.name);
                return Parsed::Exit(0);
            }
            Some("-h" | "--help") => return usage(0),
            Some(option) if option.starts_with('-') => {
                eprintln!("Error: unrecognized option: {option}");
                return usage(0);
            }
            _ => plain.push(arg),
        }
    }
    let mut plain = plain.into_iter();
    let (conf, action, more) = (plain.next(), plain.next(), plain.next());
    let Some(conf) = conf else {
        if any {
            eprintln!("Error: expect config file!");
        }
        return usage(if any { 0 } else { 1 });
    };
    if more.is_some() {
        eprintln!("Error: too many arguments!");
        return usage(0);
    }
    let action = action.map_or_else(String::new, |action| action.to_string_lossy().into_owned());
    if !["", "start", "stop", "restart", "status"].contains(&action.as_str()) {
        eprintln!("invalid action: {action}");
        return usage(22);
    }
    Parsed::Run { conf: conf.into(), action, foreground }
}

/// The process named in a pid file, when it lives and is this kind of daemon.
fn running(spec: Spec, pid_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    let pid = Pid::from_raw(text.trim().parse().ok()?)?;
    test_kill_process(pid).ok()?;
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    let program = line.split(|byte| *byte == 0).next()?;
    let base = program.rsplit(|byte| *byte == b'/').next()?;
    (base == spec.name.as_bytes()).then_some(pid)
}

/// Carries out an action on a running daemon; `None` means to start.
fn act(spec: Spec, action: &str, pid_file: &Path) -> Option<i32> {
    let is_daemon = std::env::var_os(DAEMON_MARK).is_some();
    let found = running(spec, pid_file).filter(|_| !is_daemon);
    match (action, found) {
        ("start", Some(pid)) => {
            let pid = pid.as_raw_nonzero();
            eprintln!("process {} already running, pid: {pid}", spec.name);
            Some(17)
        }
        ("status", Some(pid)) => {
            println!("Running, pid: {}", pid.as_raw_nonzero());
            Some(0)
        }
        ("status", None) => {
            println!("NOT running");
            Some(2)
        }
        ("stop", None) => {
            eprintln!("pid file: {} not exist!", pid_file.display());
            Some(2)
        }
        ("stop", Some(pid)) => {
            stop(pid);
            Some(0)
        }
        ("restart", found) => {
            if let Some(pid) = found {
                stop(pid);
                eprintln!("starting ...");
            }
            None
        }
        _ => None,
    }
}

fn stop(pid: Pid) {
    let number = pid.as_raw_nonzero();
    eprintln!("waiting for pid [{number}] exit ...");
    let began = Instant::now();
    for round in 0u32.. {
        if round % 10 == 0 {
            let _ = kill_process(pid, Signal::TERM);
        }
        sleep(Duration::from_millis(100));
        if test_kill_process(pid).is_err() {
            break;
        }
        if began.elapsed() > STOP_TIME_MAX {
            eprintln!("waiting for pid [{number}] exit timeout, force kill!");
            let _ = kill_process(pid, Signal::KILL);
            break;
        }
    }
    eprintln!("pid [{number}] exit.\n");
}

/// Starts this program again as the daemon and waits for its word.
fn start_daemon(spec: Spec, conf: &Path) -> i32 {
    use std::os::unix::process::CommandExt as _;
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return fail(&format!("cannot find this program: {error}"), 1),
    };
    let mut command = Command::new(program);
    command.arg0(spec.name).arg(conf).arg("start").env(DAEMON_MARK, "1").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return fail(&format!("cannot start the daemon: {error}"), 1),
    };
    let Some(mut out) = child.stdout.take() else { return 1 };
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut word = String::new();
        let _ = io::Read::read_to_string(&mut out, &mut word);
        let _ = send.send(word);
    });
    match receive.recv_timeout(READY_TIME_MAX) {
        Ok(word) if word.trim() == "ready" => 0,
        Ok(word) if word.trim().is_empty() => fail("the daemon ended at once; see its log", 1),
        Ok(word) => fail(word.trim(), 1),
        // Still starting: it may be waiting for a tracker.
        Err(_) => 0,
    }
}

/// Called once the daemon can be left alone.
#[derive(Debug)]
pub struct Ready {
    is_daemon: bool,
    pid_file: PathBuf,
}

impl Ready {
    /// Releases the starting process.
    pub fn release(&self) {
        self.say("ready");
    }

    /// Writes the pid file: the sockets are bound.
    pub fn listening(&self) {
        if let Err(error) = std::fs::write(&self.pid_file, std::process::id().to_string()) {
            tracing::error!(%error, file = %self.pid_file.display(), "cannot write the pid file");
        }
    }

    fn say(&self, word: &str) {
        if self.is_daemon {
            use rustix::stdio::{dup2_stdout, stdout};
            let _ = rustix::io::write(stdout(), word.as_bytes());
            // The starter reads to the end: our side must close.
            if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
                let _ = dup2_stdout(&null);
            }
        }
    }
}

/// Resolves when the process was told to end.
#[derive(Debug)]
pub struct Stop(tokio::sync::watch::Receiver<bool>);

impl Stop {
    /// Waits for the word.
    pub async fn wait(&mut self) {
        // The sender lives until the end of the process.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

fn run<F>(
    spec: Spec,
    framework: &Framework,
    warnings: &[String],
    pid_file: &Path,
    is_daemon: bool,
    serve: impl FnOnce(Ready, Stop) -> F,
) -> Result<(), String>
where
    F: Future<Output = Result<(), String>>,
{
    if is_daemon {
        // Fails only for a process that leads a group already, which then has no terminal either.
        let _ = rustix::process::setsid();
    }
    // The original gives modes by hand, 0644 and 0755; this mask makes them of the defaults.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    raise_file_limit(framework.keys.max_connections);
    std::fs::create_dir_all(framework.base_path.join("data"))
        .map_err(|error| format!("base_path {}: {error}", framework.base_path.display()))?;
    let path = framework.base_path.join("logs").join(spec.log);
    let log = LogFile::open(&path, &framework.log, !is_daemon)
        .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(level_of(&framework.keys.log_level)))
        .with_ansi(false)
        .event_format(LineFormat)
        .with_writer(log.clone())
        .init();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!("{} fdfs {version}, speaks FastDFS 6.16.1: {framework:?}", spec.name);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers(framework.keys.work_threads) + spec.spare_workers)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let done = runtime.block_on(async {
        let (send, receive) = tokio::sync::watch::channel(false);
        tokio::spawn(signals(send, log)?);
        let ready = Ready { is_daemon, pid_file: pid_file.to_owned() };
        serve(ready, Stop(receive)).await
    });
    if std::fs::read_to_string(pid_file).is_ok_and(|pid| pid == std::process::id().to_string()) {
        let _ = std::fs::remove_file(pid_file);
    }
    if done.is_ok() {
        tracing::info!("exit normally.");
    }
    done
}

/// Threads that serve connections. More than there are processors would only take turns, each with
/// its share of the connections waiting meanwhile.
fn workers(configured: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    configured.clamp(1, processors)
}

/// Handles signals until the process ends.
fn signals(
    stop: tokio::sync::watch::Sender<bool>,
    log: LogFile,
) -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot handle signals: {error}"));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (mut quit, mut hup) = (listen(SignalKind::quit())?, listen(SignalKind::hangup())?);
    let (mut usr1, mut usr2) =
        (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => { stop.send_replace(true); }
                _ = int.recv() => { stop.send_replace(true); }
                _ = quit.recv() => { stop.send_replace(true); }
                _ = hup.recv() => {
                    if let Err(error) = log.rotate() {
                        tracing::error!(%error, "cannot rotate the log");
                    }
                }
                _ = usr1.recv() => tracing::info!("signal USR1 ignored"),
                _ = usr2.recv() => tracing::info!("signal USR2 ignored"),
            }
            if *stop.borrow() {
                tracing::warn!("caught a signal, program exiting...");
            }
        }
    })
}

/// Every connection needs a file descriptor, and each file under way another.
fn raise_file_limit(connections: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = connections as u64 * 2 + 256;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        // With fewer descriptors the server refuses connections earlier; that is said in the log.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Parsed {
        let spec = Spec { name: "fdfs_trackerd", log: "trackerd.log", spare_workers: 0 };
        parse(spec, args.iter().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_that_of_the_original() {
        let run = |action: &str, foreground| Parsed::Run {
            conf: "t.conf".into(),
            action: action.into(),
            foreground,
        };
        assert_eq!(parsed(&["t.conf"]), run("", false));
        assert_eq!(parsed(&["-N", "t.conf", "start"]), run("start", true));
        assert_eq!(parsed(&["t.conf", "restart", "--no-daemon"]), run("restart", true));
        for (args, code) in [
            (&[][..], 1),
            (&["-h"], 0),
            (&["-V"], 0),
            (&["-x", "t.conf"], 0),
            (&["-N"], 0),
            (&["a", "start", "c"], 0),
            (&["t.conf", "foo"], 22),
        ] {
            assert_eq!(parsed(args), Parsed::Exit(code), "{args:?}");
        }
    }
}
