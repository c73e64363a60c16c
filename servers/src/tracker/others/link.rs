//! One connection to another tracker (spec 03 §B3, §B5): what it is, what is said to it, and the
//! signs of life a follower gives its leader.

use super::Kind;
use crate::tracker::shared::Shared;
use fdfs_core::config::TrackerAddr;
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::cluster::{GroupStorage, JoinLeader};
use fdfs_core::protocol::consensus::{Hello, Message};
use fdfs_core::protocol::{COMPATIBLE_VERSION, Command, Status, Version};
use fdfs_core::wire::Wire;
use fdfs_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

/// Between two signs of life, and two looks for new trackers.
const BEAT: Duration = Duration::from_secs(1);
/// Between two questions what a tracker of ours is, and an original, which logs each as unknown.
const HELLO_INTERVAL: Duration = Duration::from_secs(2);
const HELLO_ORIGINAL_INTERVAL: Duration = Duration::from_secs(60);
/// How long an answer may take: the consensus has gone on without this tracker by then.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Signs of life that a leader may miss by the old rule; the pauses between them double.
const FAILURES_MAX: u32 = 3;

/// Talks to every other tracker that storages tell of.
pub(in crate::tracker) async fn run(shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    let mut beat = interval(BEAT);
    loop {
        beat.tick().await;
        let Some((me, list)) = shared.lock().several_trackers() else { continue };
        for (addr, outbox) in shared.others.meet(&me, &list) {
            links.spawn(keep(shared.clone(), me.port, addr, outbox));
        }
    }
}

async fn keep(
    shared: Arc<Shared>,
    own_port: u16,
    addr: TrackerAddr,
    outbox: mpsc::Receiver<Message>,
) {
    let mut link = Link { shared, own_port, addr, outbox, failures: 0 };
    loop {
        let Err(error) = link.talk().await else { return };
        tracing::debug!(tracker = %link.addr, %error, "no connection to another tracker");
        // What was to be said is old by the time there is a connection again.
        while link.outbox.try_recv().is_ok() {}
        sleep(link.pause()).await;
    }
}

struct Link {
    shared: Arc<Shared>,
    own_port: u16,
    addr: TrackerAddr,
    outbox: mpsc::Receiver<Message>,
    failures: u32,
}

/// Connects to a tracker by the first of its addresses that answers, from the address that this
/// one listens on, by which it is known.
pub(super) async fn connect(shared: &Shared, addr: &TrackerAddr) -> Result<Conn> {
    let framework = &shared.config.framework;
    let own = framework.listen.first().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified());
    let options = ConnectOptions {
        connect_timeout: shared.timeouts.connect,
        io_timeout: shared.timeouts.network,
        bind: own,
    };
    Conn::connect_tracker(addr, &options).await
}

async fn call<R: Wire>(conn: &mut Conn, command: Command, request: &impl Wire) -> Result<R> {
    let late = |_| Error::new(ErrorKind::Timeout, "another tracker does not answer");
    timeout(ANSWER_TIME_MAX, conn.call(command, request)).await.map_err(late)?
}

impl Link {
    /// After a failure. By the old rule a leader is given up after the third one.
    fn pause(&mut self) -> Duration {
        let is_leader = self.shared.lock().leader() == Some(&self.addr);
        if !is_leader || !self.shared.others.follows_old_rule() {
            self.failures = 0;
            return BEAT;
        }
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.shared.lock().lose_leader(&self.addr);
            self.failures = 0;
        }
        BEAT * (1 << self.failures)
    }

    async fn talk(&mut self) -> Result<()> {
        let mut conn = connect(&self.shared, &self.addr).await?;
        let mut greeted = self.greet(&mut conn).await?;
        let (mut joined, mut beat) = (false, interval(BEAT));
        loop {
            // Status 22 ends a connection: some servers close it then. An original lets a new one
            // idle only once it has carried a request (spec 03 §0.9).
            if !conn.is_clean() {
                conn = connect(&self.shared, &self.addr).await?;
                call::<()>(&mut conn, Command::ACTIVE_TEST, &()).await?;
                joined = false;
            }
            tokio::select! {
                message = self.outbox.recv() => {
                    let Some(message) = message else { return Ok(()) };
                    match call::<()>(&mut conn, Command::CONSENSUS_MESSAGE, &message).await {
                        Err(error) if error.status().is_none() => return Err(error),
                        // It may not know this tracker yet, or no longer be of ours.
                        _ => self.shared.others.note_heard(&self.addr),
                    }
                }
                _ = beat.tick() => {
                    if self.shared.lock().leader() == Some(&self.addr) {
                        self.ping(&mut conn, &mut joined).await?;
                    } else {
                        joined = false;
                    }
                    let (at, interval) = greeted;
                    if at.elapsed() >= interval {
                        greeted = self.greet(&mut conn).await?;
                    }
                }
            }
        }
    }

    /// Asks what the tracker is; when, and when to ask again.
    async fn greet(&mut self, conn: &mut Conn) -> Result<(Instant, Duration)> {
        let (kind, pause) = match call::<Hello>(conn, Command::CONSENSUS_HELLO, &()).await {
            Ok(Hello { stage, electorate }) => (Kind::Ours { stage, electorate }, HELLO_INTERVAL),
            Err(error) if error.status() == Some(Status::EINVAL) => {
                (Kind::Original, HELLO_ORIGINAL_INTERVAL)
            }
            Err(error) => return Err(error),
        };
        self.shared.others.note(&self.addr, kind);
        Ok((Instant::now(), pause))
    }

    /// A follower's sign of life (spec 03 §B5).
    async fn ping(&mut self, conn: &mut Conn, joined: &mut bool) -> Result<()> {
        if !*joined {
            let join = JoinLeader {
                up_time: self.shared.lock().up_time(),
                version: Version::truncated(COMPATIBLE_VERSION.as_bytes()),
                port: self.own_port.into(),
            };
            match call::<()>(conn, Command::TRACKER_JOIN_LEADER, &join).await {
                Err(error) if error.status() != Some(Status::EEXIST) => return Err(error),
                _ => *joined = true,
            }
        }
        let ping = self.shared.lock().own_connections();
        let told = call::<Vec<GroupStorage>>(conn, Command::PING_LEADER, &ping).await?;
        self.failures = 0;
        self.shared.others.note_heard(&self.addr);
        if !told.is_empty() && self.shared.others.follows_old_rule() {
            self.shared.lock().copy_trunk_servers(&told);
            self.shared.changed.notify_one();
        }
        Ok(())
    }
}
