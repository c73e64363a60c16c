//! Keeps one other storage of the group informed (spec 03 §C3).

mod begin;
mod dispatch;
mod read;

use super::kept::Kept;
use super::mark::Mark;
use super::send::PeerConn;
use super::senders::{Followed, Settings};
use super::window::is_open;
use crate::daemon::blocking;
use crate::storage::binlog::Position;
use crate::storage::engine::Engine;
use crate::storage::link::peers::Peer;
use crate::storage::link::{Link, View};
use fdfs_core::net::{Conn, ConnectOptions};
use fdfs_core::protocol::replication::{Introduced, SenderState};
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::protocol::{StorageId, StorageStatus};
use read::Source;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Between tries to connect.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// After a change could not be sent.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Between looks at the clock while changes are not to be sent.
const WINDOW_PAUSE: Duration = Duration::from_secs(10);
/// Between two times that the mark is saved because all was sent. To save it costs two waits for
/// the disk; what a crash takes of it is sent again.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// Before the next look at the binlog after one that found records of others alone: while a peer
/// sends many, nobody waits for what is in between.
const SKIPPED_PAUSE: Duration = Duration::from_millis(2);

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

pub(super) struct Sender {
    link: Arc<Link>,
    engine: Arc<Engine>,
    settings: Settings,
    id: StorageId,
    view: watch::Receiver<View>,
    /// Departures when this sender began.
    departed_before: u64,
    followed: watch::Receiver<Followed>,
    written: watch::Receiver<Position>,
    stop: watch::Receiver<bool>,
    /// The file of the mark, once it is known.
    path: PathBuf,
    mark: Mark,
    /// The mark as it was saved last by this sender.
    saved: Option<Mark>,
    saved_at: Option<Instant>,
    kept: Kept,
    /// Absent while it reads elsewhere.
    source: Option<Source>,
    conns: Vec<Option<PeerConn>>,
    /// What the peer told of itself when it was met last; one of the original tells nothing.
    told: Option<Introduced>,
    /// Whether the last batch failed.
    is_careful: bool,
    /// Whether what was read last was nothing for this peer.
    only_skipped: bool,
    /// Damaged records skipped so far.
    damaged: u64,
}

impl Sender {
    pub(super) fn new(
        link: Arc<Link>,
        settings: Settings,
        id: StorageId,
        followed: watch::Receiver<Followed>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let engine = link.engine.clone();
        let (view, written) = (link.view(), engine.binlog.written());
        let departed_before = view.borrow().departed;
        Self {
            path: PathBuf::new(),
            link,
            engine,
            settings,
            id,
            view,
            departed_before,
            followed,
            written,
            stop,
            mark: Mark::default(),
            saved: None,
            saved_at: None,
            kept: Kept::default(),
            source: None,
            conns: Vec::new(),
            told: None,
            is_careful: false,
            only_skipped: false,
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

    /// Until the peer is gone or the storage stops.
    pub(super) async fn run(mut self) {
        self.note_stored_mark().await;
        let mut checked = self.engine.checked.subscribe();
        self.until_stopped(checked.wait_for(|checked| *checked)).await;
        while !self.is_over() {
            let ended = self.session().await;
            self.conns.clear();
            self.save_mark().await;
            if let Err(Pause::Failed(error)) = ended {
                tracing::warn!(peer = %self.id, %error, "replication to a peer is interrupted");
                self.note(SenderState::FAILED);
                let now = self.engine.now();
                self.engine.board.note(self.id, |progress| progress.fail(now, &error));
                self.pause(FAILURE_PAUSE).await;
            }
        }
        if self.status().is_gone() {
            self.note(SenderState::LEAVING);
            self.hear_of_departure().await;
        }
    }

    /// Tells those who look after the group what is being done.
    fn note(&self, state: SenderState) {
        let (peer, now) = (self.peer(), self.engine.now());
        self.engine.board.note(self.id, |progress| {
            progress.peer = peer.unwrap_or_else(|| progress.peer.clone());
            if progress.state != state || progress.state_since == 0 {
                (progress.state, progress.state_since) = (state, now);
            }
            if self.source.is_some() {
                (progress.mark, progress.damaged) = (self.mark, self.damaged);
            }
        });
    }

    /// What a peer lacks that cannot be reached yet shows in the mark that it has.
    async fn note_stored_mark(&self) {
        self.note(SenderState::WAITING);
        let ip = self.peer().map(|peer| peer.ip.to_string()).unwrap_or_default();
        let (marks, id) = (self.settings.marks.clone(), self.id);
        let loading = move || Mark::load(&marks.path(&id, &ip));
        // A damaged one is dealt with when it is needed.
        if let Ok(Ok(Some(mark))) = blocking(loading).await {
            self.engine.board.note(self.id, |progress| progress.mark = mark);
        }
    }

    /// Waits until a change log tells what became of the peer, which its mark depends on, or until
    /// the peer is back (spec 03 §C3).
    async fn hear_of_departure(&mut self) {
        tracing::info!(peer = %self.id, status = %self.status(), "a peer is gone");
        let (link, mut view) = (self.link.clone(), self.view.clone());
        let (id, before) = (self.id.to_string(), self.departed_before);
        let is_told = |view: &View| {
            let is_gone = |peer: &Peer| peer.brief.id == self.id && peer.status().is_gone();
            view.departed_since(before).iter().any(|departure| departure.id == id)
                || !view.peers.iter().any(is_gone)
        };
        let hearing = async {
            link.read_changelog().await;
            timeout(self.changelog_time_max(), view.wait_for(is_told)).await.is_ok()
        };
        if self.until_stopped(hearing).await == Some(false) {
            tracing::warn!(peer = %self.id, "no change log tells of a peer that is gone");
        }
    }

    /// How long the change log is waited for.
    fn changelog_time_max(&self) -> Duration {
        2 * self.settings.heart_beat_interval + Duration::from_secs(1)
    }

    /// Waits for something, but not beyond the end of the process.
    async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            done = work => Some(done),
            _ = stop.wait_for(|stop| *stop) => None,
        }
    }

    /// Waits, but not beyond the end of the process.
    async fn pause(&mut self, time: Duration) {
        self.until_stopped(sleep(time)).await;
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
            self.note(SenderState::WAITING);
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
            self.note(SenderState::CLOSED);
            self.pause(WINDOW_PAUSE).await;
            if self.is_over() {
                return Err(Pause::Told);
            }
        }
        let mut first = self.connect().await?;
        self.wait_for(&[S::WAIT_SYNC, S::SYNCING, S::ACTIVE]).await?;
        if self.source.is_none() || self.status() != S::ACTIVE {
            self.note(SenderState::PREPARING);
            self.prepare().await?;
        }
        if !self.mark.need_sync_old {
            self.wait_for(&[S::ACTIVE]).await?;
        }
        self.told = first.introduce().await?;
        self.conns = vec![Some(first)];
        self.meet().await?;
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
        self.note(SenderState::CONNECTING);
        let mut failed = false;
        loop {
            let Some(peer) = self.peer().filter(|_| !self.is_over()) else {
                return Err(Pause::Told);
            };
            match open(&peer, &self.engine, &self.settings.connect).await {
                Ok(conn) => return Ok(PeerConn::new(conn, self.engine.clone())),
                Err(error) if failed => {
                    tracing::debug!(peer = %self.id, %error, "cannot reach a peer");
                }
                Err(error) => {
                    failed = true;
                    tracing::warn!(peer = %self.id, %error, "cannot reach a peer, trying on");
                    let now = self.engine.now();
                    self.engine.board.note(self.id, |progress| progress.fail(now, &error));
                }
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

    /// Sends what can be sent at once, or waits for something to send.
    async fn step(&mut self) -> Result<(), Pause> {
        let end = *self.written.borrow_and_update();
        let (batch, read_to) = self.read_batch(end).await?;
        if batch.len() > 0 {
            self.note(SenderState::SENDING);
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
        let is_new_file = self.mark.position.index != self.saved.unwrap_or_default().position.index;
        if is_new_file || self.mark_age().is_none_or(|age| age >= MARK_INTERVAL) {
            self.save_mark().await;
        }
        self.wait_for_more().await
    }

    async fn wait_for_more(&mut self) -> Result<(), Pause> {
        self.note(SenderState::IDLE);
        if std::mem::take(&mut self.only_skipped) {
            self.pause(SKIPPED_PAUSE).await;
        }
        let mut stop = self.stop.clone();
        let is_unsaved = self.saved != Some(self.mark);
        let time = match is_unsaved {
            true => MARK_INTERVAL.saturating_sub(self.mark_age().unwrap_or_default()),
            false => self.settings.heart_beat_interval,
        };
        let is_idle = tokio::select! {
            _ = self.written.changed() => false,
            _ = self.view.changed() => false,
            _ = stop.wait_for(|stop| *stop) => false,
            () = sleep(time) => !is_unsaved,
        };
        match self.conns.first_mut() {
            Some(Some(conn)) if is_idle => Ok(conn.test().await?),
            _ => Ok(()),
        }
    }

    /// How long ago this sender saved the mark.
    fn mark_age(&self) -> Option<Duration> {
        self.saved_at.map(|at| at.elapsed())
    }

    /// Saves the mark after so many records, and when it is in another file.
    async fn save_mark_if_due(&mut self) {
        let saved = self.saved.unwrap_or_default();
        if self.mark.sent >= saved.sent + self.settings.records_per_mark
            || self.mark.position.index != saved.position.index
        {
            self.save_mark().await;
        }
    }

    async fn save_mark(&mut self) {
        let is_known = !self.path.as_os_str().is_empty();
        if !is_known || self.saved == Some(self.mark) {
            return;
        }
        if self.kept.reach(self.mark, Instant::now()) {
            self.save_kept().await;
        }
        let (mark, path) = (self.mark, self.path.clone());
        // Whoever has seen the file may ask for what it says here.
        self.engine.board.note(self.id, |progress| progress.mark = mark);
        let saved = blocking(move || mark.save(&path)).await;
        // In vain or not: what cannot be saved now will not be at once, either.
        self.saved_at = Some(Instant::now());
        match saved.map_err(std::io::Error::other).and_then(|saved| saved) {
            Ok(()) => self.saved = Some(mark),
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

/// Connects to a peer at the first of its addresses that answers.
pub(super) async fn open(
    peer: &Brief,
    engine: &Engine,
    options: &ConnectOptions,
) -> fdfs_core::Result<Conn> {
    let port = u16::try_from(peer.port).unwrap_or(0);
    let ip = peer.ip.to_string();
    let known = engine.ids.by_id(&peer.id.to_string());
    let others = known.into_iter().flat_map(|entry| &entry.ips).filter(|other| **other != ip);
    let mut opened = Conn::connect(&ip, port, options).await;
    for other in others {
        if opened.is_err() {
            opened = Conn::connect(other, port, options).await;
        }
    }
    opened
}

fn local(error: std::io::Error) -> Pause {
    let text = "reading the binlog";
    Pause::Failed(fdfs_core::Error::new(fdfs_core::ErrorKind::LocalIo, text).with_source(error))
}
