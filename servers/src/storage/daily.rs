//! What is done once a day: old binlog files are compressed (spec 04 §A.5.5).

use super::engine::Engine;
use super::sync::mark::first_needed;
use crate::daemon::blocking;
use chrono::Timelike as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Seconds of a day.
const DAY: u32 = 24 * 60 * 60;

/// Compresses old binlog files every day at this second of it.
pub(super) async fn compress_daily(engine: Arc<Engine>, at: u32, stop: watch::Receiver<bool>) {
    loop {
        let now = chrono::Local::now().num_seconds_from_midnight();
        tokio::time::sleep(until(at, now)).await;
        let (for_work, stop) = (engine.clone(), stop.clone());
        let done = blocking(move || for_work.compress_binlog(&|| *stop.borrow())).await;
        match done.map_err(io::Error::other).and_then(|done| done) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "compressed old binlog files"),
            Err(error) => tracing::error!(%error, "cannot compress old binlog files"),
        }
    }
}

impl Engine {
    /// Compresses all binlog files that every peer has read, and says how many; ends early when
    /// `stop` says so.
    pub fn compress_binlog(&self, stop: &dyn Fn() -> bool) -> io::Result<u32> {
        // Marks are those of all peers that ever were sent anything; the board knows new ones, too.
        let marked = first_needed(self.binlog.dir())?;
        let needed = marked.into_iter().chain(self.board.first_needed()).min();
        self.binlog.compress_before(needed.unwrap_or(u32::MAX), stop)
    }
}

/// How long it is until this second of a day comes next.
fn until(at: u32, now: u32) -> Duration {
    match (at + DAY - now % DAY) % DAY {
        // It is right now, and what is due now has been done.
        0 => Duration::from_secs(DAY.into()),
        secs => Duration::from_secs(secs.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_today_or_tomorrow() {
        for (at, now, secs) in [
            (5400, 0, 5400),
            (5400, 5399, 1),
            (5400, 5400, 86_400),
            (5400, 5401, 86_399),
            (0, 86_399, 1),
        ] {
            assert_eq!(until(at, now).as_secs(), secs, "{at} {now}");
        }
    }
}
