//! The conversation with one tracker, from joining to leaving (spec 03 §A2 to §A14).

use super::{Link, as_addresses, connect, connect_options};
use fdfs_core::net::Conn;
use fdfs_core::protocol::cluster::{ChangeList, DiskSpace, Join, Joined, SyncSource};
use fdfs_core::protocol::stats::StorageStats;
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{COMPATIBLE_VERSION, Command, Status, StorageId, StorageStatus, Version};
use fdfs_core::wire::{FixedStr, Rest, Text};
use fdfs_core::{ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How often the reporter looks whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the tracker with this index informed until `stop` turns true.
pub async fn run_reporter(link: Arc<Link>, index: usize, mut stop: watch::Receiver<bool>) {
    let mut reporter = Reporter { link, index, sent_changes: 0 };
    let pause = reporter.link.config.keys.heart_beat_interval;
    loop {
        let pause = tokio::select! {
            ended = reporter.session() => match ended {
                Ok(()) => TICK,
                Err(Ended { error, pause: long }) => {
                    let tracker = reporter.link.config.trackers.get(index);
                    let tracker = tracker.map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(%tracker, %error, "lost a tracker, trying again");
                    if long { pause } else { TICK }
                }
            },
            _ = stop.wait_for(|stop| *stop) => return,
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Why a session ended, and whether the next one waits for a heart beat's time.
struct Ended {
    error: fdfs_core::Error,
    pause: bool,
}

struct Reporter {
    link: Arc<Link>,
    index: usize,
    /// The statistics' change counter when they were last sent on this connection.
    sent_changes: u64,
}

impl Reporter {
    fn me(&self) -> StorageId {
        self.link.engine.identity.id
    }

    async fn session(&mut self) -> std::result::Result<(), Ended> {
        let early = |error| Ended { error, pause: true };
        let Some(tracker) = self.link.config.trackers.get(self.index).cloned() else {
            return std::future::pending().await;
        };
        let options = connect_options(&self.link.config);
        let mut conn = connect(&tracker, &options).await.map_err(early)?;
        self.join(&mut conn).await.map_err(early)?;
        self.settle_source(&mut conn).await.map_err(early)?;
        self.report(&mut conn).await.map_err(|error| Ended { error, pause: false })
    }

    async fn join(&mut self, conn: &mut Conn) -> Result<()> {
        let request = self.join_request(conn);
        if let Some(tried) = self.link.state().joined.get_mut(self.index) {
            *tried = true;
        }
        let joined: Joined = conn.call(Command::STORAGE_JOIN, &request).await?;
        self.note_status(StorageStatus(joined.status));
        Ok(())
    }

    fn join_request(&self, conn: &Conn) -> Join {
        let (link, config) = (&self.link, &self.link.config);
        let state = link.state();
        let identity = &link.engine.identity;
        let status = match state.peers.status(&identity.id) {
            Some(status) => i8::try_from(status.0).unwrap_or(0),
            None if state.joined.len() == 1 || state.joined.iter().all(|tried| *tried) => 0,
            // Another tracker may know this storage; it is asked first.
            None => -1,
        };
        let use_ids = link.engine.params.use_storage_id;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let tracker_ip = conn.peer_addr().map(|addr| addr.ip().to_canonical().to_string());
        let line = |tracker| Text::new(as_addresses(tracker).to_string().as_bytes());
        Join {
            group: FixedStr::truncated(identity.group.as_bytes()),
            port: link.port.into(),
            store_path_count: count(config.store_paths.len()),
            subdir_count_per_path: count(config.keys.subdir_count_per_path),
            upload_priority: config.keys.upload_priority,
            join_time: state.flag.join_time,
            up_time: link.up_time,
            version: Version::truncated(COMPATIBLE_VERSION.as_bytes()),
            init_flag: u8::from(!state.flag.sync_old_done),
            status,
            id: if use_ids { identity.id } else { StorageId::EMPTY },
            tracker_ip: FixedStr::truncated(tracker_ip.unwrap_or_default().as_bytes()),
            trackers: config.trackers.iter().filter_map(line).collect(),
        }
    }

    /// Finds out who sends the old files, once, and tells every tracker (spec 03 §A8).
    async fn settle_source(&mut self, conn: &mut Conn) -> Result<()> {
        let link = self.link.clone();
        if !link.state().flag.sync_old_done {
            let _only_one = link.asking_source.lock().await;
            if !link.state().flag.sync_old_done {
                let source: Option<SyncSource> = conn.call(Command::SYNC_DEST_REQ, &()).await?;
                let mut state = link.state();
                if let Some(source) = source {
                    state.flag.sync_source = source.id.to_string();
                    state.flag.sync_until = source.until;
                }
                state.flag.sync_old_done = true;
                drop(state);
                self.save_flag()?;
            }
        }
        let notify = {
            let state = link.state();
            let id = StorageId::truncated(state.flag.sync_source.as_bytes());
            SyncSource { id, until: if id.is_empty() { 0 } else { state.flag.sync_until } }
        };
        match conn.call::<()>(Command::SYNC_NOTIFY, &notify).await {
            Err(error) if error.status() == Some(Status::ENOENT) => {
                // The source is gone. The tracker that leads decides; a lone one does.
                let leads = {
                    let state = link.state();
                    state.leader == Some(self.index) || link.config.trackers.len() == 1
                };
                if leads {
                    let mut state = link.state();
                    state.flag.sync_source.clear();
                    state.flag.sync_until = 0;
                    drop(state);
                    self.save_flag()?;
                }
                Err(error)
            }
            done => done,
        }
    }

    fn save_flag(&self) -> Result<()> {
        self.link.save_flag().map_err(|error| {
            fdfs_core::Error::new(ErrorKind::LocalIo, "cannot save .data_init_flag")
                .with_source(error)
        })
    }

    /// Beats and reports until the connection fails or must be renewed.
    async fn report(&mut self, conn: &mut Conn) -> Result<()> {
        self.sent_changes = 0;
        let keys = self.link.config.keys.clone();
        let (mut beat_due, mut space_due) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            if now >= beat_due {
                beat_due = now + keys.heart_beat_interval;
                if self.beat(conn).await? {
                    return self.leave(conn).await;
                }
            }
            if now >= space_due {
                space_due = now + keys.stat_report_interval;
                if self.report_space(conn).await? {
                    return self.leave(conn).await;
                }
                self.link.reported.send_replace(true);
            }
            if self.correct_status(conn).await? {
                return self.leave(conn).await;
            }
            sleep(TICK.min(keys.heart_beat_interval)).await;
        }
    }

    async fn leave(&self, conn: &mut Conn) -> Result<()> {
        conn.start(Command::QUIT, 0, &[], 0).await
    }

    /// `true` when the connection must be renewed.
    async fn beat(&mut self, conn: &mut Conn) -> Result<bool> {
        let stats = &self.link.engine.stats;
        let changes = stats.changes();
        let body = (changes != self.sent_changes).then(|| self.figures());
        let list: ChangeList = conn.call(Command::STORAGE_BEAT, &body).await?;
        self.sent_changes = changes;
        if self.link.engine.params.storage_ip_changed_auto_adjust {
            let log: Rest = conn.call(Command::CHANGELOG, &()).await?;
            if !log.0.is_empty() {
                tracing::info!(log = %String::from_utf8_lossy(&log.0), "the group has changed");
            }
        }
        self.take_list(conn, list).await
    }

    fn figures(&self) -> StorageStats {
        let mut stats = self.link.engine.stats.snapshot();
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        stats.connection_alloc_count = count(self.link.counts.max());
        stats.connection_current_count = count(self.link.counts.current());
        stats.connection_max_count = count(self.link.counts.max());
        stats
    }

    async fn report_space(&mut self, conn: &mut Conn) -> Result<bool> {
        let engine = self.link.engine.clone();
        // A sick disk must not keep the heart from beating.
        let look = tokio::task::spawn_blocking(move || {
            let now = engine.now();
            let space = |path: &crate::storage::store::StorePath| path.space(&*engine.disk, now);
            engine.store.paths().iter().map(space).collect::<Vec<DiskSpace>>()
        });
        let spaces = look.await.unwrap_or_default();
        let list: ChangeList = conn.call(Command::REPORT_DISK_USAGE, &spaces).await?;
        self.take_list(conn, list).await
    }

    /// Takes over what changed; `true` when this storage must join again.
    async fn take_list(&mut self, conn: &mut Conn, list: ChangeList) -> Result<bool> {
        if let Some(leader) = list.leader {
            self.note_leader(&leader);
        }
        let Some(servers) = list.servers else { return Ok(false) };
        let me = self.me();
        let merged = self.link.state().peers.merge(&servers, &me);
        if let Some(own) = servers.iter().find(|server| server.id == me) {
            self.note_status(StorageStatus(own.status));
        }
        if !merged.differing.is_empty() {
            conn.call::<()>(Command::REPLICA_CHANGE, &merged.differing).await?;
        }
        Ok(merged.rejoin)
    }

    fn note_leader(&self, leader: &Brief) {
        let ip = leader.ip.to_string();
        let trackers = &self.link.config.trackers;
        let at = trackers.iter().position(|tracker| {
            i32::from(tracker.port) == leader.port && as_addresses(tracker).hosts.contains(&ip)
        });
        if at.is_none() && !ip.is_empty() {
            tracing::warn!(leader = %ip, "the leading tracker is not configured here");
        }
        self.link.state().leader = at;
    }

    fn note_status(&self, status: StorageStatus) {
        if let Some(known) = self.link.state().statuses.get_mut(self.index) {
            *known = Some(status);
        }
    }

    /// Tells a tracker that does not lead the status that the leader has; `true` when it did and
    /// the connection must be renewed (spec 03 §A14).
    async fn correct_status(&self, conn: &mut Conn) -> Result<bool> {
        let wanted = {
            let state = self.link.state();
            let at = |index: usize| state.statuses.get(index).copied().flatten();
            match (state.leader.filter(|leader| *leader != self.index), at(self.index)) {
                (Some(leader), Some(here)) => at(leader).filter(|there| {
                    *there != here && !(there.is_available() && here.is_available())
                }),
                _ => None,
            }
        };
        let Some(status) = wanted else { return Ok(false) };
        conn.call::<()>(Command::CHANGE_STATUS, &status.0).await?;
        self.note_status(status);
        Ok(true)
    }
}
