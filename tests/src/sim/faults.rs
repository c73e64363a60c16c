//! What goes wrong, and when it is mended.

use super::cluster::{Cluster, Role};
use fdfs_core::net::sim::{Chance, Network, Power};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Longest pause between two faults.
const PAUSE_MAX_MS: u64 = 6_000;
/// Longest time until a fault is mended.
const FAULT_MAX_MS: u64 = 25_000;
/// Seconds that a clock is mostly wrong by, and rarely.
const SKEW_USUAL: u64 = 3;
const SKEW_RARE: u64 = 3_600;

/// How a fault is mended.
#[derive(Debug, Clone, Copy)]
enum Mending {
    Heal(IpAddr, IpAddr),
    Start(usize),
    MakeRoom(usize),
    Hurry(usize),
}

/// Makes faults.
#[derive(Debug)]
pub struct Faults {
    network: Arc<Network>,
    chance: Chance,
    deaths: mpsc::UnboundedReceiver<usize>,
    due: Vec<(Instant, Mending)>,
}

impl Faults {
    /// None yet. `deaths` tells which hosts died in a disk call.
    pub fn new(network: Arc<Network>, deaths: mpsc::UnboundedReceiver<usize>) -> Self {
        let chance = network.chance();
        Self { network, chance, deaths, due: Vec::new() }
    }

    /// Sets every clock somewhat wrong.
    pub fn skew_clocks(&mut self, cluster: &Cluster) {
        for host in &cluster.hosts {
            let skew = self.skew();
            self.network.set_skew(host.ip, skew);
        }
    }

    fn skew(&mut self) -> i64 {
        let range = if self.chance.one_in(12) { SKEW_RARE } else { SKEW_USUAL };
        let skew = self.chance.below(2 * range + 1).cast_signed();
        skew - range.cast_signed()
    }

    /// Makes faults, and mends them, until this moment.
    pub async fn run(&mut self, cluster: &mut Cluster, until: Instant) {
        let mut next = self.soon(PAUSE_MAX_MS);
        loop {
            let mending = self.due.iter().map(|(at, _)| *at).min();
            let wake = mending.map_or(next, |at| at.min(next)).min(until);
            tokio::select! {
                biased;
                Some(at) = self.deaths.recv() => {
                    cluster.crash(at, Power::Killed).await;
                    let back = self.soon(FAULT_MAX_MS);
                    self.due.push((back, Mending::Start(at)));
                    continue;
                }
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            if now >= until {
                return;
            }
            let (due, left) = self.due.drain(..).partition(|(at, _)| *at <= now);
            self.due = left;
            for (_, mending) in due {
                self.mend(cluster, mending);
            }
            if now >= next {
                self.harm(cluster).await;
                next = self.soon(PAUSE_MAX_MS);
            }
        }
    }

    fn soon(&mut self, max_ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(50 + self.chance.below(max_ms))
    }

    fn mend(&self, cluster: &mut Cluster, mending: Mending) {
        match mending {
            Mending::Heal(from, to) => self.network.heal(from, to),
            Mending::Start(at) => cluster.start(at),
            Mending::MakeRoom(at) => {
                if let Some(host) = cluster.hosts.get(at) {
                    self.network.note(format_args!("room on {}", host.ip));
                    host.disk.set_full(false);
                }
            }
            Mending::Hurry(at) => {
                if let Some(host) = cluster.hosts.get(at) {
                    self.network.set_slowness(host.ip, 1);
                }
            }
        }
    }

    async fn harm(&mut self, cluster: &mut Cluster) {
        let count = cluster.hosts.len();
        let at = self.chance.index(count);
        let Some((ip, role)) = cluster.hosts.get(at).map(|host| (host.ip, host.role)) else {
            return;
        };
        let back = self.soon(FAULT_MAX_MS);
        match self.chance.below(12) {
            0 | 1 => self.cut_pair(cluster, ip, back),
            2 => self.cut_off(cluster, ip, back),
            3 | 4 if cluster.is_up(at) => {
                let power = if self.chance.one_in(2) { Power::Killed } else { Power::Off };
                cluster.crash(at, power).await;
                self.due.push((back, Mending::Start(at)));
            }
            5 if cluster.is_up(at) => {
                cluster.shut_down(at).await;
                self.due.push((back, Mending::Start(at)));
            }
            6 | 7 if role != Role::Tracker => {
                let nth = 1 + self.chance.below(60).cast_signed();
                self.network.note(format_args!("{ip} dies in disk call {nth}"));
                if let Some(host) = cluster.hosts.get(at) {
                    host.disk.die_in(nth);
                }
            }
            8 if role != Role::Tracker => {
                let nth = 1 + self.chance.below(30).cast_signed();
                self.network.note(format_args!("{ip} fails in disk call {nth}"));
                if let Some(host) = cluster.hosts.get(at) {
                    host.disk.fail_in(nth);
                }
            }
            9 if role != Role::Tracker => {
                self.network.note(format_args!("full {ip}"));
                if let Some(host) = cluster.hosts.get(at) {
                    host.disk.set_full(true);
                }
                self.due.push((back, Mending::MakeRoom(at)));
            }
            10 => {
                let skew = self.skew();
                self.network.set_skew(ip, skew);
            }
            11 => {
                let slowness = 10 + u32::try_from(self.chance.below(200)).unwrap_or(0);
                self.network.set_slowness(ip, slowness);
                self.due.push((back, Mending::Hurry(at)));
            }
            _ => {}
        }
    }

    /// Cuts the link to another host, one way or both.
    fn cut_pair(&mut self, cluster: &Cluster, ip: IpAddr, back: Instant) {
        let other = self.chance.index(cluster.hosts.len());
        let Some(other) = cluster.hosts.get(other).map(|host| host.ip) else { return };
        let ways = self.chance.below(3);
        if ways != 1 {
            self.cut(ip, other, back);
        }
        if ways != 2 {
            self.cut(other, ip, back);
        }
    }

    /// Cuts a host off from all others, clients included or not.
    fn cut_off(&mut self, cluster: &Cluster, ip: IpAddr, back: Instant) {
        for other in cluster.hosts.iter().map(|host| host.ip) {
            self.cut(ip, other, back);
            self.cut(other, ip, back);
        }
    }

    fn cut(&mut self, from: IpAddr, to: IpAddr, back: Instant) {
        if from != to {
            self.network.cut(from, to);
            self.due.push((back, Mending::Heal(from, to)));
        }
    }

    /// Mends everything, and lets everybody run.
    pub async fn heal(&mut self, cluster: &mut Cluster) {
        self.due.clear();
        while let Ok(at) = self.deaths.try_recv() {
            cluster.crash(at, Power::Killed).await;
        }
        self.network.heal_all();
        for at in 0..cluster.hosts.len() {
            if let Some(host) = cluster.hosts.get(at) {
                host.disk.set_full(false);
                host.disk.fail_in(i64::MAX);
                host.disk.die_in(i64::MAX);
            }
            if cluster.is_up(at) && cluster.hosts.get(at).is_some_and(|host| host.disk.is_unsure())
            {
                cluster.shut_down(at).await;
            }
            cluster.start(at);
        }
    }
}
