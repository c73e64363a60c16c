//! Clocks that run out, for those who wait on their own thread as well as for tasks.

use super::world;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Ends at that time.
pub(crate) async fn sleep_until(at: Instant) {
    // Costs nothing until a runtime polls it.
    let mut sleep = pin!(tokio::time::sleep_until(at));
    poll_fn(|context| match world::deadline(context, at) {
        true if at <= Instant::now() => Poll::Ready(()),
        true => Poll::Pending,
        false => sleep.as_mut().poll(context),
    })
    .await;
}

/// A clock that lasts from one poll to the next.
#[derive(Debug)]
pub(super) struct Timer {
    /// `None` beyond all time.
    at: Option<Instant>,
    /// Made when a task polls it.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Runs out after that time.
    pub(super) fn new(limit: Duration) -> Self {
        Self { at: Instant::now().checked_add(limit), sleep: None }
    }

    /// Whether it has run out.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.at {
            None => Poll::Pending,
            Some(at) if !world::deadline(context, at) => {
                let sleep =
                    self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
                sleep.as_mut().poll(context)
            }
            Some(at) if at <= Instant::now() => Poll::Ready(()),
            Some(_) => Poll::Pending,
        }
    }
}
