//! What bounds a whole call: its time, and the caller's patience.

use super::timer::sleep_until;
use crate::error::{Error, ErrorKind, Result};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Lets another thread end a call. Clones end the same calls.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Cancel {
    /// A handle to give to calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all calls that were given this handle, now and in future, with kind `Cancelled`.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    async fn cancelled(&self) {
        // The sender lives as long as this handle, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}

/// The bounds of one call.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    deadline: Option<(Instant, Duration)>,
    cancel: Option<Cancel>,
}

impl Limits {
    /// No bounds.
    pub const NONE: Self = Self { deadline: None, cancel: None };

    /// Bounds of a call that begins now.
    pub fn new(timeout: Option<Duration>, cancel: Option<Cancel>) -> Self {
        // What ends beyond all time does not end.
        let deadline = timeout.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Self { deadline, cancel }
    }

    /// Whether the call must end.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|(deadline, _)| deadline <= Instant::now())
            || self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Waits for `step`, but not beyond the bounds; the error names the clock that ran out and
    /// `what` was going on. `own` is the step's own clock: its name and limit.
    pub async fn run<T>(
        &self,
        what: &str,
        own: Option<(&str, Duration)>,
        step: impl Future<Output = T>,
    ) -> Result<T> {
        let total = self.deadline.map(|(deadline, limit)| (deadline, "timeout", limit));
        let own =
            own.and_then(|(name, limit)| Some((Instant::now().checked_add(limit)?, name, limit)));
        let first = total.into_iter().chain(own).min_by_key(|(deadline, ..)| *deadline);
        let timed_out = async {
            match first {
                Some((deadline, name, limit)) => {
                    sleep_until(deadline).await;
                    (name, limit)
                }
                None => std::future::pending().await,
            }
        };
        let cancelled = async {
            match &self.cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => {
                Err(Error::new(ErrorKind::Cancelled, format!("cancelled while {what}")))
            }
            done = step => Ok(done),
            (name, limit) = timed_out => {
                let text = format!("{name} of {limit:?} passed while {what}");
                Err(Error::new(ErrorKind::Timeout, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_that_runs_out_first_is_named() {
        let never = std::future::pending::<()>;
        let own = Some(("io_timeout", Duration::from_secs(3)));
        let limits = Limits::new(Some(Duration::from_secs(5)), None);
        let error = limits.run("reading", own, never()).await.unwrap_err();
        assert_eq!(error.to_string(), "io_timeout of 3s passed while reading: timeout");
        let error = limits.run("reading", own, never()).await.unwrap_err();
        assert_eq!(error.to_string(), "timeout of 5s passed while reading: timeout");
        assert!(limits.is_over());
    }

    #[tokio::test]
    async fn a_time_beyond_all_times_is_no_bound() {
        let limits = Limits::new(Some(Duration::MAX), None);
        let own = Some(("io_timeout", Duration::MAX));
        assert_eq!(limits.run("reading", own, async { 7 }).await.unwrap(), 7);
        assert!(!limits.is_over());
    }

    #[tokio::test]
    async fn a_cancelled_call_ends_wherever_it_waits() {
        let cancel = Cancel::new();
        let limits = Limits::new(None, Some(cancel.clone()));
        assert_eq!(limits.run("reading", None, async { 7 }).await.unwrap(), 7);
        let never = std::future::pending::<()>();
        let (ended, ()) = tokio::join!(limits.run("reading", None, never), async {
            cancel.cancel();
        });
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(limits.is_over());
        assert!(limits.run("reading", None, async { 7 }).await.is_err(), "from now on");
    }
}
