//! Sending records side by side, on several connections (spec 03 §C5).

use super::{Pause, Sender, open};
use crate::storage::binlog::Position;
use crate::storage::engine::Engine;
use crate::storage::sync::batch::Batch;
use crate::storage::sync::handout::{Handout, Turn};
use crate::storage::sync::send::{PeerConn, is_short};
use fdfs_core::net::{AHEAD_MAX, ConnectOptions};
use fdfs_core::protocol::tracker::Brief;
use fdfs_core::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Records that a peer gets on one connection one by one before the mark must follow: then the
/// fastest of them need not wait for the slowest at every step.
const ONE_BY_ONE: usize = 16;
/// Turns of each connection into which a batch is divided that has long records.
const LONG_TURNS: usize = 8;
/// Short records that are worth waking another connection's task for.
const WORTH_A_CONNECTION: usize = 16;

/// What came of a turn: the records that the peer has, and the first one that failed.
struct Outcome {
    done: Vec<usize>,
    failed: Option<(usize, Error)>,
}

/// What connections share while they send a batch.
#[derive(Clone)]
struct Sending {
    handout: Arc<Mutex<Handout>>,
    engine: Arc<Engine>,
    peer: Brief,
    options: ConnectOptions,
    /// So many requests may follow each other on a connection.
    ahead_max: usize,
}

impl Sending {
    fn handout(&self) -> MutexGuard<'_, Handout> {
        self.handout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends on one connection until nothing is left for it.
    async fn run(
        &self,
        conn: Option<PeerConn>,
        is_first: bool,
        outcomes: &mpsc::Sender<Outcome>,
    ) -> Option<PeerConn> {
        let mut conn = conn;
        loop {
            let turn = self.handout().take(is_first, self.ahead_max);
            if turn.is_empty() {
                return conn;
            }
            let outcome = self.turn(&mut conn, turn).await;
            let has_failed = outcome.failed.is_some();
            {
                // At once, so that no other connection begins what is in vain.
                let mut handout = self.handout();
                outcome.done.iter().for_each(|number| handout.finish(*number));
                if let Some((number, _)) = &outcome.failed {
                    handout.fail(*number);
                }
            }
            // The sender outlives its connections' tasks, or does not care any more.
            let is_heard = outcomes.send(outcome).await.is_ok();
            if has_failed || !is_heard {
                return conn;
            }
        }
    }

    async fn turn(&self, slot: &mut Option<PeerConn>, turn: Turn) -> Outcome {
        let conn = match slot {
            Some(conn) => conn,
            None => match open(&self.peer, &self.engine, &self.options).await {
                Ok(conn) => slot.insert(PeerConn::new(conn, self.engine.clone())),
                Err(error) => {
                    let first = turn.first().map_or(0, |(number, _)| *number);
                    return Outcome { done: Vec::new(), failed: Some((first, error)) };
                }
            },
        };
        let mut done = Vec::with_capacity(turn.len());
        let failed = conn.send_turn(&turn, self.ahead_max, &mut done).await;
        Outcome { done, failed }
    }
}

impl Sender {
    /// So many records may be read for one batch.
    pub(super) fn batch_len_max(&self) -> usize {
        let conns = self.settings.threads_max;
        if self.is_careful {
            return conns;
        }
        let ahead_max = self.ahead_max();
        let each = if ahead_max > 1 { 2 * ahead_max } else { ONE_BY_ONE };
        let marked = usize::try_from(self.settings.records_per_mark).unwrap_or(usize::MAX);
        (conns * each).min(marked.max(conns))
    }

    /// Connections worth using for a batch, and into how many turns it is divided at least. Where
    /// nothing is won by long turns they are short, so that all end at the same time.
    fn conns_for(&self, batch: &Batch) -> (usize, usize) {
        let conns = self.settings.threads_max.min(batch.len());
        let follows = self.requests_ahead() > 1 && batch.iter().all(|(entry, _)| is_short(entry));
        if follows {
            let conns = conns.min(batch.len().div_ceil(WORTH_A_CONNECTION));
            (conns, conns)
        } else {
            (conns, LONG_TURNS * conns)
        }
    }

    /// So many requests the peer takes on a connection before it has answered the first of them.
    fn ahead_max(&self) -> usize {
        self.told.as_ref().map_or(1, |told| usize::from(told.ahead_max).clamp(1, AHEAD_MAX))
    }

    /// So many requests may follow each other on a connection now. After a failure it is one, as it
    /// must be known which record failed.
    fn requests_ahead(&self) -> usize {
        if self.is_careful { 1 } else { self.ahead_max() }
    }

    /// Sends a batch.
    pub(super) async fn send_batch(
        &mut self,
        batch: Batch,
        read_to: Position,
    ) -> Result<(), Pause> {
        let Some(peer) = self.peer() else { return Err(Pause::Told) };
        let (conns, parts) = self.conns_for(&batch);
        let handout = Handout::new(batch.into_entries(), parts);
        let sending = Sending {
            handout: Arc::new(Mutex::new(handout)),
            engine: self.engine.clone(),
            peer,
            options: self.settings.connect,
            ahead_max: self.requests_ahead(),
        };
        self.conns.resize_with(self.conns.len().max(conns), || None);
        let begun = self.mark;
        let failed = match conns {
            1 => self.send_here(&sending, begun).await,
            _ => self.send_side_by_side(&sending, conns, begun).await,
        };
        let is_done = sending.handout().is_done();
        self.follow(&sending, begun).await;
        self.is_careful = !is_done;
        if !is_done {
            // Later ones that succeeded are sent again: that does no harm.
            self.read_from(self.mark.position).await?;
            let ended = || Error::new(ErrorKind::Internal, "sending ended early");
            return Err(failed.unwrap_or_else(ended).into());
        }
        self.mark.position = read_to;
        self.save_mark_if_due().await;
        Ok(())
    }

    /// Moves the mark behind what is finished.
    async fn follow(&mut self, sending: &Sending, begun: super::Mark) {
        let (count, end) = sending.handout().finished();
        if let Some(end) = end {
            self.mark.position = end;
            self.mark.sent = begun.sent + count as u64;
            self.save_mark_if_due().await;
        }
    }

    /// Sends on the first connection, without waking others.
    async fn send_here(&mut self, sending: &Sending, begun: super::Mark) -> Option<Error> {
        loop {
            let turn = sending.handout().take(true, sending.ahead_max);
            let slot = self.conns.first_mut()?;
            if turn.is_empty() {
                return None;
            }
            let outcome = sending.turn(slot, turn).await;
            outcome.done.iter().for_each(|number| sending.handout().finish(*number));
            if let Some((_, error)) = outcome.failed {
                return Some(error);
            }
            self.follow(sending, begun).await;
        }
    }

    async fn send_side_by_side(
        &mut self,
        sending: &Sending,
        conns: usize,
        begun: super::Mark,
    ) -> Option<Error> {
        let (outcomes, mut told) = mpsc::channel::<Outcome>(conns);
        let mut tasks = JoinSet::new();
        for (at, slot) in self.conns.iter_mut().enumerate().take(conns) {
            let conn = slot.take().filter(|conn| at == 0 || conn.is_fresh());
            let (sending, outcomes) = (sending.clone(), outcomes.clone());
            tasks.spawn(async move { (at, sending.run(conn, at == 0, &outcomes).await) });
        }
        drop(outcomes);
        let mut first: Option<(usize, Error)> = None;
        while let Some(outcome) = told.recv().await {
            self.follow(sending, begun).await;
            if let Some(failed) = outcome.failed
                && first.as_ref().is_none_or(|(number, _)| failed.0 < *number)
            {
                first = Some(failed);
            }
        }
        while let Some(ended) = tasks.join_next().await {
            let Ok((at, conn)) = ended else { continue };
            if let Some(slot) = self.conns.get_mut(at) {
                *slot = conn;
            }
        }
        first.map(|(_, error)| error)
    }
}
