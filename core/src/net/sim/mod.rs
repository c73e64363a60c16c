//! A network in memory, with time that jumps from event to event and chance from a seed: the same
//! seed gives the same run (reliability plan T7, decision note 0003).
//!
//! Hosts are addresses. Links between them can be cut one way or both; then what is sent waits, as
//! TCP would send it again, and goes on when the link heals. A host can be killed, when its peers
//! are told, or lose power, when nobody is: a peer that sends something learns of it after the
//! host is back. All hosts share one thread and one runtime ([`run`]).

#[cfg(not(tokio_unstable))]
compile_error!("the feature `sim` needs RUSTFLAGS=\"--cfg tokio_unstable\": see `make sim`");

mod chance;
mod pipe;
mod runtime;
mod socket;
mod stream;

pub use chance::Chance;
pub use runtime::{run, spawn_on};
pub use socket::{TcpListener, TcpSocket, lookup_host};
pub use stream::{TcpStream, is_quiet};

use pipe::Pipe;
use runtime::{current, current_host};
use socket::Backlog;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// When simulated runs begin, in Unix seconds.
pub const EPOCH: i64 = 2_000_000_000;
/// First port of those that need not be named.
const PORT_FIRST: u16 = 32768;
/// Lines of the log that are kept: the newest.
const LOG_LINES_MAX: usize = 200_000;

/// What a host is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// It works.
    #[default]
    On,
    /// Its processes are dead; its kernel says so to whoever asks.
    Killed,
    /// It says nothing.
    Off,
}

#[derive(Debug, Default)]
struct Host {
    power: Power,
    /// Seconds that its clock is ahead.
    skew: i64,
    /// How many times slower than others its links are.
    slowness: u32,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    hosts: BTreeMap<IpAddr, Host>,
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    listeners: BTreeMap<SocketAddr, Arc<Backlog>>,
    pipes: Vec<Weak<Pipe>>,
    port: u16,
    log: std::collections::VecDeque<String>,
}

/// The network of one run.
#[derive(Debug)]
pub struct Network {
    began: Instant,
    state: Mutex<State>,
    /// Told when a link heals or a host is back.
    changed: Notify,
}

impl Network {
    fn new(seed: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            hosts: BTreeMap::new(),
            cuts: BTreeSet::new(),
            listeners: BTreeMap::new(),
            pipes: Vec::new(),
            port: PORT_FIRST,
            log: std::collections::VecDeque::new(),
        };
        Self { began: Instant::now(), state: Mutex::new(state), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sequence of chance for a part of the run.
    pub fn chance(&self) -> Chance {
        self.lock().chance.fork()
    }

    /// The simulated time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes an event.
    pub fn note(&self, what: Arguments<'_>) {
        let line = format!("{:9.3} {what}", self.elapsed().as_secs_f64());
        let log = &mut self.lock().log;
        if log.len() >= LOG_LINES_MAX {
            log.pop_front();
        }
        log.push_back(line);
    }

    /// What was noted, the oldest first.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.iter().cloned().collect()
    }

    /// The time of day on a host.
    pub fn unix_secs(&self, host: IpAddr) -> i64 {
        let skew = self.lock().hosts.get(&host).map_or(0, |host| host.skew);
        let elapsed = i64::try_from(self.elapsed().as_secs()).unwrap_or(0);
        EPOCH + elapsed + skew
    }

    /// Sets a host's clock ahead by this many seconds.
    pub fn set_skew(&self, host: IpAddr, skew: i64) {
        self.lock().hosts.entry(host).or_default().skew = skew;
        self.note(format_args!("clock {host} {skew:+} s"));
    }

    /// Makes the links of a host slower by this factor.
    pub fn set_slowness(&self, host: IpAddr, slowness: u32) {
        self.lock().hosts.entry(host).or_default().slowness = slowness;
        self.note(format_args!("slow {host} {slowness}"));
    }

    /// Cuts the way from one host to another.
    pub fn cut(&self, from: IpAddr, to: IpAddr) {
        self.note(format_args!("cut {from} > {to}"));
        self.lock().cuts.insert((from, to));
    }

    /// Mends that way.
    pub fn heal(&self, from: IpAddr, to: IpAddr) {
        if self.lock().cuts.remove(&(from, to)) {
            self.note(format_args!("heal {from} > {to}"));
            self.wake(|pipe| pipe.from.ip() == from && pipe.to.ip() == to);
        }
    }

    /// Mends all ways.
    pub fn heal_all(&self) {
        self.note(format_args!("heal all"));
        self.lock().cuts.clear();
        for host in self.lock().hosts.values_mut() {
            host.slowness = 1;
        }
        self.wake(|_| true);
    }

    /// Stops a host where it is: from now on nothing of it is heard. Its tasks are to be dropped
    /// next; `power` says how its connections end then.
    pub fn stop(&self, host: IpAddr, power: Power) {
        self.note(format_args!("stop {host} {power:?}"));
        self.lock().hosts.entry(host).or_default().power = power;
        if power == Power::Off {
            // What its kernel had not got through is gone with it.
            let pipes: Vec<Arc<Pipe>> =
                self.lock().pipes.iter().filter_map(Weak::upgrade).collect();
            for pipe in pipes.iter().filter(|pipe| pipe.from.ip() == host) {
                pipe.forget(self.is_cut(host, pipe.to.ip()));
            }
        }
    }

    /// Starts a host.
    pub fn start(&self, host: IpAddr) {
        self.note(format_args!("start {host}"));
        self.lock().hosts.entry(host).or_default().power = Power::On;
        self.wake(|pipe| pipe.to.ip() == host);
    }

    /// What a host is doing.
    pub fn power(&self, host: IpAddr) -> Power {
        self.lock().hosts.get(&host).map_or(Power::On, |host| host.power)
    }

    fn is_cut(&self, from: IpAddr, to: IpAddr) -> bool {
        self.lock().cuts.contains(&(from, to))
    }

    /// Whether what `from` sends is heard by `to`, or at least by its kernel.
    fn passes(&self, from: IpAddr, to: IpAddr) -> bool {
        let state = self.lock();
        let power = |host| state.hosts.get(&host).map_or(Power::On, |host: &Host| host.power);
        !state.cuts.contains(&(from, to)) && power(from) != Power::Off && power(to) != Power::Off
    }

    /// How long something takes from one host to the other.
    fn delay(&self, from: IpAddr, to: IpAddr) -> Duration {
        let state = &mut *self.lock();
        let slowness = |host| state.hosts.get(host).map_or(1, |host: &Host| host.slowness.max(1));
        let slowness = slowness(&from) * slowness(&to);
        let micros = match state.chance.below(64) {
            0 => 20_000 + state.chance.below(200_000),
            _ => 100 + state.chance.below(2_000),
        };
        Duration::from_micros(micros) * slowness
    }

    /// Bytes that a write takes of `len`: mostly all, now and then fewer.
    fn taken(&self, len: usize) -> usize {
        let chance = &mut self.lock().chance;
        if len > 1 && chance.one_in(16) { 1 + chance.index(len) } else { len }
    }

    /// Goes the way, as the first packet of a connection does.
    async fn travel(&self, from: IpAddr, to: IpAddr) {
        loop {
            sleep(self.delay(from, to)).await;
            let changed = self.changed.notified();
            if self.passes(from, to) {
                return;
            }
            changed.await;
        }
    }

    /// Lets everything look again that waits for such a way.
    fn wake(&self, which: impl Fn(&Pipe) -> bool) {
        let pipes: Vec<Arc<Pipe>> = {
            let pipes = &mut self.lock().pipes;
            pipes.retain(|pipe| pipe.strong_count() > 0);
            pipes.iter().filter_map(Weak::upgrade).collect()
        };
        for pipe in pipes.iter().filter(|pipe| which(pipe)) {
            pipe.wake();
            self.answer_for_gone(pipe);
        }
        self.changed.notify_waiters();
    }

    /// A host that gets bytes for a connection it does not know says so.
    fn answer_for_gone(&self, pipe: &Pipe) {
        let (from, to) = (pipe.from.ip(), pipe.to.ip());
        if pipe.is_unanswered() && self.passes(from, to) {
            let at = Instant::now() + self.delay(from, to) + self.delay(to, from);
            pipe.reset_back(at);
        }
    }

    fn register(&self, pipe: &Arc<Pipe>) {
        self.lock().pipes.push(Arc::downgrade(pipe));
    }

    fn free_port(&self) -> u16 {
        let state = &mut *self.lock();
        state.port = state.port.checked_add(1).unwrap_or(PORT_FIRST);
        state.port
    }

    fn listener(&self, addr: SocketAddr) -> Option<Arc<Backlog>> {
        let state = self.lock();
        let is_on = |host: &Host| host.power == Power::On;
        let found = state.listeners.get(&addr).cloned();
        found.filter(|_| state.hosts.get(&addr.ip()).is_none_or(is_on))
    }

    fn listen(&self, addr: SocketAddr, backlog: &Arc<Backlog>) -> io::Result<()> {
        let listeners = &mut self.lock().listeners;
        if listeners.contains_key(&addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        listeners.insert(addr, backlog.clone());
        Ok(())
    }

    fn unlisten(&self, addr: SocketAddr) {
        self.lock().listeners.remove(&addr);
    }
}

/// A number to choose by.
pub fn chance() -> u64 {
    current().map_or(0, |network| network.lock().chance.any())
}

/// The time of day on the host whose task asks.
pub fn unix_secs() -> i64 {
    match (current(), current_host()) {
        (Ok(network), Some(host)) => network.unix_secs(host),
        _ => EPOCH,
    }
}

#[cfg(test)]
mod tests;
