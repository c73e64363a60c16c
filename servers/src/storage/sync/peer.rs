//! Keeps the other storages of the group informed: one task for each (spec 03 §C3).

use super::batch::{Batch, is_for};
use super::mark::Mark;
use super::reader::{BinlogReader, Entry, Next};
use super::send::PeerConn;
use crate::daemon::blocking;
use crate::storage::binlog::Position;
use crate::storage::config::StorageConfig;
use crate::storage::engine::Engine;
use crate::storage::link::{Link, View, connect_options};
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::cluster::{GroupStorage, SyncSource};
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{Command, StorageId, StorageStatus};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Between tries to connect.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// After a change could not be sent.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Records that are not for the peer and are read at a time: so long others wait for the lane.
const SKIPPED_MAX: usize = 1000;
/// Between looks at the clock while changes are not to be sent.
const WINDOW_PAUSE: Duration = Duration::from_secs(10);

/// What senders are told by the configuration.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Settings {
    connect: ConnectOptions,
    threads_max: usize,
    interval: Duration,
    /// Seconds of the day between which changes are sent.
    window: Option<(u32, u32)>,
    heart_beat_interval: Duration,
    records_per_mark: u64,
    port: u16,
}

impl Settings {
    pub(in crate::storage) fn new(config: &StorageConfig, port: u16) -> Self {
        let keys = &config.keys;
        Self {
            connect: connect_options(config),
            threads_max: config.sync_threads_max,
            interval: Duration::from_millis(keys.sync_interval_ms.unsigned_abs()),
            window: config.sync_window(),
            heart_beat_interval: keys.heart_beat_interval,
            records_per_mark: keys.write_mark_file_freq as u64,
            port,
        }
    }
}

/// Runs a sender for every peer, those that come later included, until `stop` turns true.
pub(in crate::storage) async fn run_senders(
    link: Arc<Link>,
    settings: Settings,
    stop: watch::Receiver<bool>,
) {
    let mut view = link.view();
    let mut running = HashSet::new();
    let mut senders = JoinSet::new();
    let mut stopped = stop.clone();
    loop {
        let me = link.engine.identity.id;
        let peers: Vec<StorageId> = {
            let view = view.borrow_and_update();
            let wanted = |status: StorageStatus| !status.is_gone() && status != StorageStatus::NONE;
            let peers = view.peers.iter().filter(|peer| wanted(peer.status()));
            peers.map(|peer| peer.brief.id).filter(|id| *id != me).collect()
        };
        for id in peers {
            if running.insert(id) {
                let sender = Sender::new(link.clone(), settings.clone(), id, stop.clone());
                senders.spawn(sender.run());
            }
        }
        tokio::select! {
            _ = view.changed() => {}
            Some(ended) = senders.join_next() => {
                if let Ok(id) = ended {
                    running.remove(&id);
                }
            }
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    while senders.join_next().await.is_some() {}
}

/// Why sending ended for now.
enum Pause {
    /// The peer's status, the window or the end of the process say so.
    Told,
    Failed(fdfs_core::Error),
}

impl From<fdfs_core::Error> for Pause {
    fn from(error: fdfs_core::Error) -> Self {
        Self::Failed(error)
    }
}

struct Sender {
    link: Arc<Link>,
    engine: Arc<Engine>,
    settings: Settings,
    id: StorageId,
    view: watch::Receiver<View>,
    written: watch::Receiver<Position>,
    stop: watch::Receiver<bool>,
    /// The file of the mark, once it is known.
    path: PathBuf,
    mark: Mark,
    /// The mark as it was saved last.
    saved: Mark,
    /// Absent while it reads elsewhere.
    reader: Option<BinlogReader>,
    /// A record that waits for the batch before it.
    held: Option<(Entry, Position)>,
    conns: Vec<Option<PeerConn>>,
    /// Damaged records skipped so far.
    damaged: u64,
}

impl Sender {
    fn new(
        link: Arc<Link>,
        settings: Settings,
        id: StorageId,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let engine = link.engine.clone();
        let (view, written) = (link.view(), engine.binlog.written());
        Self {
            path: PathBuf::new(),
            link,
            engine,
            settings,
            id,
            view,
            written,
            stop,
            mark: Mark::default(),
            saved: Mark::default(),
            reader: None,
            held: None,
            conns: Vec::new(),
            damaged: 0,
        }
    }

    fn peer(&self) -> Option<Brief> {
        let view = self.view.borrow();
        let peer = view.peers.iter().find(|peer| peer.brief.id == self.id)?;
        Some(peer.brief.clone())
    }

    fn status(&self) -> StorageStatus {
        self.peer().map_or(StorageStatus::NONE, |peer| StorageStatus(peer.status))
    }

    fn is_over(&self) -> bool {
        let status = self.status();
        *self.stop.borrow() || status.is_gone() || status == StorageStatus::NONE
    }

    /// Until the peer is gone or the storage stops; gives the peer's id back.
    async fn run(mut self) -> StorageId {
        while !self.is_over() {
            let ended = self.session().await;
            self.conns.clear();
            self.save_mark().await;
            if let Err(Pause::Failed(error)) = ended {
                tracing::warn!(peer = %self.id, %error, "replication to a peer is interrupted");
                self.pause(FAILURE_PAUSE).await;
            }
        }
        if !*self.stop.borrow() {
            self.link.shared().peers.retire(&self.id);
            self.link.publish().await;
        }
        self.id
    }

    /// Waits, but not beyond the end of the process.
    async fn pause(&mut self, time: Duration) {
        let mut stop = self.stop.clone();
        let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
        // It does not matter which of the two it was.
        let _ = timeout(time, stopped).await;
    }

    /// Waits until the peer has one of these statuses; an error when it never will.
    async fn wait_for(&mut self, wanted: &[StorageStatus]) -> Result<(), Pause> {
        let mut stop = self.stop.clone();
        loop {
            if self.is_over() {
                return Err(Pause::Told);
            }
            if wanted.contains(&self.status()) {
                return Ok(());
            }
            tokio::select! {
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return Err(Pause::Told);
                    }
                }
                _ = stop.wait_for(|stop| *stop) => return Err(Pause::Told),
            }
        }
    }

    /// Meets the peer and sends until something is in the way.
    async fn session(&mut self) -> Result<(), Pause> {
        use StorageStatus as S;
        self.wait_for(&[S::WAIT_SYNC, S::SYNCING, S::ACTIVE, S::RECOVERY]).await?;
        while !self.is_in_window() {
            self.pause(WINDOW_PAUSE).await;
            if self.is_over() {
                return Err(Pause::Told);
            }
        }
        let mut first = self.connect().await?;
        self.wait_for(&[S::WAIT_SYNC, S::SYNCING, S::ACTIVE]).await?;
        if self.reader.is_none() || self.status() != S::ACTIVE {
            self.prepare().await?;
        }
        if !self.mark.need_sync_old {
            self.wait_for(&[S::ACTIVE]).await?;
        }
        first.introduce().await?;
        self.conns = vec![Some(first)];
        if self.status() == S::WAIT_SYNC {
            self.report(S::SYNCING).await?;
        }
        if self.status() == S::SYNCING && self.mark.need_sync_old && self.mark.sync_old_done {
            self.report(S::OFFLINE).await?;
        }
        while !self.is_over() && self.is_in_window() {
            if !matches!(self.status(), S::ACTIVE | S::SYNCING) {
                return Ok(());
            }
            self.step().await?;
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<PeerConn, Pause> {
        loop {
            let Some(peer) = self.peer().filter(|_| !self.is_over()) else {
                return Err(Pause::Told);
            };
            match open(&peer, &self.settings.connect).await {
                Ok(conn) => return Ok(PeerConn::new(conn, self.engine.clone())),
                Err(error) => tracing::debug!(peer = %self.id, %error, "cannot reach a peer"),
            }
            self.pause(CONNECT_PAUSE).await;
        }
    }

    /// Tells the trackers a status of the peer.
    async fn report(&mut self, status: StorageStatus) -> Result<(), Pause> {
        let Some(mut brief) = self.peer() else { return Err(Pause::Told) };
        brief.status = status.0;
        self.link.shared().peers.note_status(&self.id, status);
        self.link.publish().await;
        Ok(self.link.report_status(brief).await?)
    }

    /// Finds out from where on the peer must be sent the binlog.
    async fn prepare(&mut self) -> Result<(), Pause> {
        self.path = self.mark_path();
        let stored = match self.status() {
            status if status <= StorageStatus::WAIT_SYNC => None,
            _ => match Mark::load(&self.path) {
                Ok(mark) => mark,
                Err(error) => {
                    tracing::error!(%error, "a damaged mark: the peer is sent everything again");
                    None
                }
            },
        };
        let told = match stored {
            Some(_) if self.status() != StorageStatus::SYNCING => None,
            _ => Some(self.ask_source().await?),
        };
        let fresh = |(need_sync_old, until)| Mark { need_sync_old, until, ..Mark::default() };
        self.mark = match (stored, told) {
            (Some(mark), Some(told)) if told.0 && !mark.need_sync_old => fresh(told),
            (Some(mark), _) => mark,
            (None, told) => fresh(told.unwrap_or((false, 0))),
        };
        let is_fresh = self.mark.position == Position::default();
        let dir = self.engine.binlog.dir();
        let mut reader = BinlogReader::new(dir, self.mark.position).map_err(local)?;
        if is_fresh && !self.mark.need_sync_old && self.mark.until > 0 {
            reader = self.skip_to(reader, self.mark.until).await?;
        }
        self.mark.position = reader.position();
        (self.reader, self.held) = (Some(reader), None);
        self.save_mark().await;
        Ok(())
    }

    /// Steps over records older than `time`.
    async fn skip_to(&self, reader: BinlogReader, time: i64) -> Result<BinlogReader, Pause> {
        let (mut reader, end) = (reader, *self.written.borrow());
        let dir = self.engine.binlog.dir().to_owned();
        let skipping = blocking(move || {
            loop {
                let before = reader.position();
                match reader.next(end)? {
                    Next::Entry(entry) if entry.time >= time => {
                        return BinlogReader::new(&dir, before);
                    }
                    Next::End => return Ok(reader),
                    _ => {}
                }
            }
        });
        skipping.await.map_err(std::io::Error::other).and_then(|done| done).map_err(local)
    }

    /// Without ids a mark is named after the peer's address and this storage's port (spec 04
    /// §A.6).
    fn mark_path(&self) -> PathBuf {
        let dir = self.engine.binlog.dir();
        let ip = self.peer().map(|peer| peer.ip.to_string()).unwrap_or_default();
        let by_address = dir.join(format!("{ip}_{}.mark", self.settings.port));
        if !self.engine.params.use_storage_id {
            return by_address;
        }
        let by_id = dir.join(format!("{}.mark", self.id));
        if !by_id.exists()
            && by_address.exists()
            && let Err(error) = std::fs::rename(&by_address, &by_id)
        {
            tracing::error!(%error, mark = %by_address.display(), "cannot rename a mark");
        }
        by_id
    }

    /// Asks the trackers whether this storage sends the peer the old files, too, and which are old.
    async fn ask_source(&mut self) -> Result<(bool, i64), Pause> {
        let request = GroupStorage { group: self.engine.identity.group, id: self.id };
        let trackers = self.link.shared().trackers.clone();
        let mut at = self.view.borrow().leader.unwrap_or(0);
        loop {
            if self.is_over() {
                return Err(Pause::Told);
            }
            // Who is still being filled does not know what is old.
            let settled = self.link.shared().flag().sync_old_done;
            if let Some(tracker) = trackers.get(at % trackers.len().max(1)).filter(|_| settled) {
                let told =
                    self.link.ask::<Option<SyncSource>>(tracker, Command::SYNC_SRC_REQ, &request);
                match told.await {
                    Ok(None) => return Ok((false, 0)),
                    Ok(Some(source)) => {
                        return Ok((source.id == self.engine.identity.id, source.until));
                    }
                    Err(error) if error.status().is_none() => at += 1,
                    Err(_) => {}
                }
            }
            let pause = if settled { self.settings.heart_beat_interval } else { CONNECT_PAUSE };
            self.pause(pause).await;
        }
    }

    /// Sends what can be sent at once, or waits for something to send.
    async fn step(&mut self) -> Result<(), Pause> {
        let end = *self.written.borrow_and_update();
        let (batch, read_to) = self.read_batch(end).await?;
        if batch.len() > 0 {
            self.send_batch(batch, read_to).await?;
            if !self.settings.interval.is_zero() {
                self.pause(self.settings.interval).await;
            }
            return Ok(());
        }
        self.mark.position = read_to;
        if read_to < end {
            return Ok(());
        }
        if self.mark.sends_old() {
            self.mark.sync_old_done = true;
            self.save_mark().await;
            if self.status() == StorageStatus::SYNCING {
                self.report(StorageStatus::OFFLINE).await?;
            }
        }
        if self.mark != self.saved {
            self.save_mark().await;
        }
        self.wait_for_more().await
    }

    async fn wait_for_more(&mut self) -> Result<(), Pause> {
        let mut stop = self.stop.clone();
        let is_idle = tokio::select! {
            _ = self.written.changed() => false,
            _ = self.view.changed() => false,
            _ = stop.wait_for(|stop| *stop) => false,
            () = sleep(self.settings.heart_beat_interval) => true,
        };
        match self.conns.first_mut() {
            Some(Some(conn)) if is_idle => Ok(conn.test().await?),
            _ => Ok(()),
        }
    }

    /// Reads records that may be sent side by side; tells how far.
    async fn read_batch(&mut self, end: Position) -> Result<(Batch, Position), Pause> {
        let Some(mut reader) = self.reader.take() else { return Err(Pause::Told) };
        let (mark, most) = (self.mark, self.settings.threads_max);
        let mut held = self.held.take();
        let reading = move || {
            let (mut batch, mut skipped, mut damaged) = (Batch::default(), 0, 0);
            let mut read_to = held.as_ref().map_or(reader.position(), |(_, begin)| *begin);
            let done = loop {
                if batch.len() >= most || skipped >= SKIPPED_MAX {
                    break Ok(());
                }
                let begin = reader.position();
                let (entry, begin) = match held.take() {
                    Some(held) => held,
                    None => match reader.next(end) {
                        Ok(Next::Entry(entry)) => (entry, begin),
                        Ok(Next::End) => {
                            read_to = reader.position();
                            break Ok(());
                        }
                        Ok(Next::Damaged(line)) => {
                            let line = String::from_utf8_lossy(&line).into_owned();
                            tracing::error!(?begin, line, "skipped a damaged binlog record");
                            (damaged, skipped) = (damaged + 1, skipped + 1);
                            read_to = reader.position();
                            continue;
                        }
                        Err(error) => break Err(error),
                    },
                };
                if !is_for(&mark, &entry) {
                    skipped += 1;
                } else if let Some(entry) = batch.add(entry, reader.position()) {
                    held = Some((entry, begin));
                    break Ok(());
                }
                read_to = reader.position();
            };
            (reader, held, batch, read_to, skipped, damaged, done)
        };
        let lane = &self.engine.records_lane;
        let (reader, held, batch, read_to, skipped, damaged, done) = lane.run(reading).await;
        (self.reader, self.held) = (Some(reader), held);
        self.mark.scanned += (skipped + batch.len()) as u64;
        if damaged > 0 {
            self.damaged += damaged;
            tracing::warn!(peer = %self.id, total = self.damaged, "skipped damaged records");
        }
        done.map_err(local)?;
        Ok((batch, read_to))
    }

    /// Sends a batch, each record on a connection of its own.
    async fn send_batch(&mut self, batch: Batch, read_to: Position) -> Result<(), Pause> {
        let entries = batch.into_entries();
        let count = entries.len();
        self.conns.resize_with(self.conns.len().max(count), || None);
        let ends: Vec<Position> = entries.iter().map(|(_, end)| *end).collect();
        let outcomes = match self.conns.first_mut() {
            Some(Some(conn)) if count == 1 => {
                let mut sent = Ok(());
                for (entry, _) in &entries {
                    sent = conn.send(entry).await;
                }
                vec![sent]
            }
            _ => self.send_side_by_side(entries).await,
        };
        let mut before = self.mark.position;
        for (outcome, end) in outcomes.into_iter().zip(ends) {
            if let Err(error) = outcome {
                // Later ones that succeeded are sent again: that does no harm.
                self.rewind(before)?;
                return Err(error.into());
            }
            (before, self.mark.sent) = (end, self.mark.sent + 1);
        }
        self.mark.position = read_to;
        if self.mark.sent >= self.saved.sent + self.settings.records_per_mark
            || self.mark.position.index != self.saved.position.index
        {
            self.save_mark().await;
        }
        Ok(())
    }

    async fn send_side_by_side(
        &mut self,
        entries: Vec<(Entry, Position)>,
    ) -> Vec<fdfs_core::Result<()>> {
        let Some(peer) = self.peer() else { return Vec::new() };
        let mut sending = JoinSet::new();
        let count = entries.len();
        for ((at, slot), (entry, _)) in self.conns.iter_mut().enumerate().zip(entries) {
            let (conn, peer) = (slot.take(), peer.clone());
            let (options, engine) = (self.settings.connect, self.engine.clone());
            sending.spawn(async move {
                let conn = match conn {
                    Some(conn) => Ok(conn),
                    None => open(&peer, &options).await.map(|conn| PeerConn::new(conn, engine)),
                };
                match conn {
                    Ok(mut conn) => {
                        let sent = conn.send(&entry).await;
                        (at, Some(conn), sent)
                    }
                    Err(error) => (at, None, Err(error)),
                }
            });
        }
        let mut outcomes: Vec<fdfs_core::Result<()>> = Vec::new();
        outcomes.resize_with(count, || {
            Err(fdfs_core::Error::new(fdfs_core::ErrorKind::Internal, "sending ended early"))
        });
        while let Some(sent) = sending.join_next().await {
            let Ok((at, conn, sent)) = sent else { continue };
            if let (Some(slot), Some(outcome)) = (self.conns.get_mut(at), outcomes.get_mut(at)) {
                (*slot, *outcome) = (conn, sent);
            }
        }
        outcomes
    }

    /// Reads on from here again.
    fn rewind(&mut self, position: Position) -> Result<(), Pause> {
        self.mark.position = position;
        self.held = None;
        self.reader = Some(BinlogReader::new(self.engine.binlog.dir(), position).map_err(local)?);
        Ok(())
    }

    async fn save_mark(&mut self) {
        if self.mark == self.saved {
            return;
        }
        let (mark, path) = (self.mark, self.path.clone());
        let saved = blocking(move || mark.save(&path)).await;
        match saved.map_err(std::io::Error::other).and_then(|saved| saved) {
            Ok(()) => self.saved = mark,
            Err(error) => {
                tracing::error!(%error, mark = %self.path.display(), "cannot save a mark");
            }
        }
    }

    fn is_in_window(&self) -> bool {
        use chrono::Timelike as _;
        let now = chrono::Local::now().num_seconds_from_midnight();
        self.settings.window.is_none_or(|window| is_open(window, now))
    }
}

/// Whether the window contains this second of the day; one that ends before it begins lasts over
/// midnight.
fn is_open((start, end): (u32, u32), now: u32) -> bool {
    match start <= end {
        true => (start..=end).contains(&now),
        false => now >= start || now <= end,
    }
}

async fn open(peer: &Brief, options: &ConnectOptions) -> fdfs_core::Result<Conn> {
    let port = u16::try_from(peer.port).unwrap_or(0);
    let conn = Conn::connect(&peer.ip.to_string(), port, options).await?;
    // The peer would put an old state of a file in place of a newer one.
    conn.discard_on_close().map_err(|error| {
        let text = "preparing a connection to a peer";
        fdfs_core::Error::new(fdfs_core::ErrorKind::LocalIo, text).with_source(error)
    })?;
    Ok(conn)
}

fn local(error: std::io::Error) -> Pause {
    let text = "reading the binlog";
    Pause::Failed(fdfs_core::Error::new(fdfs_core::ErrorKind::LocalIo, text).with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_may_last_over_midnight() {
        assert!(is_open((3600, 7200), 3600) && is_open((3600, 7200), 7200));
        assert!(!is_open((3600, 7200), 3599) && !is_open((3600, 7200), 7201));
        assert!(is_open((7200, 3600), 0) && is_open((7200, 3600), 80000));
        assert!(!is_open((7200, 3600), 5000));
    }
}
