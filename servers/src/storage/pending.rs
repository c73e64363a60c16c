//! Changes that are made on disk and not yet recorded.
//!
//! Between the two steps a request waits for others that are as far, so that one write records
//! them all. Only then it is acknowledged; when recording fails, it is undone. Removals go the other
//! way: they are recorded, and made then.

use super::binlog::{Record, Ticket};
use super::engine::Engine;
use super::lane::Lane;
use super::ops::Done;
use crate::daemon::after_others;
use std::fmt;
use std::sync::Arc;

type Undo = Box<dyn FnOnce(&Engine) + Send>;
type Then = Box<dyn FnOnce(&Engine) -> Done<()> + Send>;

/// What a request has made.
#[must_use = "it is acknowledged once it is recorded"]
pub(super) struct Pending<T> {
    value: T,
    /// Absent when nothing has changed.
    ticket: Option<Ticket>,
    undo: Option<Undo>,
    then: Option<Then>,
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<T> Pending<T> {
    /// Nothing has changed.
    pub(super) fn unchanged(value: T) -> Self {
        Self { value, ticket: None, undo: None, then: None }
    }

    fn waiting(value: T, ticket: Ticket) -> Self {
        Self { ticket: Some(ticket), ..Self::unchanged(value) }
    }

    /// A change that cannot be undone. When it cannot be recorded now, it is with the next one.
    pub(super) fn done(engine: &Engine, value: T, time: i64, records: &[Record]) -> Done<Self> {
        Ok(Self::waiting(value, engine.record_done(time, records)?))
    }

    /// A change that is made like this once it is recorded.
    pub(super) fn intended(
        engine: &Engine,
        value: T,
        time: i64,
        records: &[Record],
        then: impl FnOnce(&Engine) -> Done<()> + Send + 'static,
    ) -> Done<Self> {
        let ticket = engine.record(time, records)?;
        Ok(Self { then: Some(Box::new(then)), ..Self::waiting(value, ticket) })
    }

    /// A change that is undone like this when it cannot be recorded. What `undo` holds is kept
    /// until that is known.
    pub(super) fn undone_by(
        engine: &Engine,
        value: T,
        time: i64,
        records: &[Record],
        undo: impl FnOnce(&Engine) + Send + 'static,
    ) -> Done<Self> {
        match engine.record(time, records) {
            Ok(ticket) => Ok(Self { undo: Some(Box::new(undo)), ..Self::waiting(value, ticket) }),
            Err(status) => {
                undo(engine);
                Err(status)
            }
        }
    }
}

/// Records a change made in the store path of `lane`.
pub(super) async fn commit<T>(
    engine: &Arc<Engine>,
    lane: &Lane,
    made: Done<Pending<T>>,
) -> Done<T> {
    let made = made?;
    if made.ticket.is_some() {
        after_others().await;
    }
    record(engine, lane, made).await
}

/// The same without letting others catch up before.
pub(super) async fn record<T>(engine: &Arc<Engine>, lane: &Lane, made: Pending<T>) -> Done<T> {
    let Pending { value, ticket, undo, then } = made;
    let Some(ticket) = ticket else { return Ok(value) };
    let recorded = match ticket.outcome() {
        Some(_) => engine.commit(&ticket),
        None => {
            let for_work = engine.clone();
            engine.records_lane.run(move || for_work.commit(&ticket)).await
        }
    };
    match (&recorded, undo, then) {
        (Err(_), Some(undo), _) => {
            let for_work = engine.clone();
            lane.run(move || undo(&for_work)).await;
        }
        (Ok(()), _, Some(then)) => {
            let for_work = engine.clone();
            lane.run(move || then(&for_work)).await?;
        }
        _ => {}
    }
    recorded.map(|()| value)
}
