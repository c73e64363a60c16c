//! Which server next, and whether to ask again: decisions only; time and chance are arguments
//! (SDK conventions §1.5, §1.7).

use crate::error::{Error, ErrorKind};
use crate::protocol::{Command, Resend};
use std::time::Duration;

/// How long a tracker that failed is asked last.
const REST: Duration = Duration::from_secs(3);
/// Shortest and longest pause before a server is asked again.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The order in which trackers are asked. Times are counted from any fixed moment.
#[derive(Debug)]
pub struct Rotation {
    next: usize,
    trackers: Vec<Tracker>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tracker {
    failed_at: Option<Duration>,
    /// Which of its addresses worked last.
    host: usize,
}

impl Rotation {
    /// A rotation over `count` trackers that begins at `first`.
    pub fn new(count: usize, first: usize) -> Self {
        Self { next: first % count.max(1), trackers: vec![Tracker::default(); count] }
    }

    /// All trackers, the next one first and those that failed lately last.
    pub fn order(&mut self, now: Duration) -> Vec<usize> {
        let count = self.trackers.len();
        let start = self.next;
        self.next = (start + 1) % count.max(1);
        let mut order: Vec<usize> = (start..count).chain(0..start).collect();
        let rests = |at: &usize| {
            let failed = self.trackers.get(*at).and_then(|tracker| tracker.failed_at);
            failed.is_some_and(|failed| now.saturating_sub(failed) < REST)
        };
        order.sort_by_key(rests);
        order
    }

    /// The addresses of a tracker with `count` of them: the one that worked last comes first.
    pub fn hosts(&self, index: usize, count: usize) -> Vec<usize> {
        let first = self.trackers.get(index).map_or(0, |tracker| tracker.host);
        (0..count).map(|at| (first + at) % count.max(1)).collect()
    }

    /// Notes that a tracker failed at all its addresses.
    pub fn failed(&mut self, index: usize, now: Duration) {
        if let Some(tracker) = self.trackers.get_mut(index) {
            tracker.failed_at = Some(now);
        }
    }

    /// Notes that a tracker answered at its address `host`.
    pub fn answered(&mut self, index: usize, host: usize) {
        if let Some(tracker) = self.trackers.get_mut(index) {
            *tracker = Tracker { failed_at: None, host };
        }
    }
}

/// The pause before a server is asked again; `chance` is anything at all.
pub fn pause(chance: u64) -> Duration {
    let span = u64::try_from((PAUSE_MAX - PAUSE_MIN).as_millis()).unwrap_or(0) + 1;
    PAUSE_MIN + Duration::from_millis(chance % span)
}

/// How far an exchange came that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The connection was kept from an earlier call.
    pub reused: bool,
    /// The connection ended, as opposed to keeping silent.
    pub lost: bool,
    /// A byte of the request's body may have left.
    pub body_left: bool,
    /// A byte of the reply came.
    pub replied: bool,
}

fn only_once(command: Command) -> bool {
    // What is not in the table could do anything.
    command.info().is_none_or(|info| info.resend == Resend::Once)
}

/// Whether a failed request is sent again on a fresh connection: only when a kept connection turned
/// out to be dead before it said anything, and nothing can happen twice.
pub fn repeats(command: Command, attempt: Attempt) -> bool {
    attempt.reused
        && attempt.lost
        && !attempt.replied
        && (!attempt.body_left || !only_once(command))
}

/// Whether a failed request may have had its effect, and a second one would have it again.
///
/// When what failed is the content's source, its end was never sent: storages drop a new file or
/// an addition that stops early, and only overwrite in place what they get (spec 04 §A.8.5).
pub fn outcome_unknown(command: Command, attempt: Attempt, kind: ErrorKind) -> bool {
    let is_dropped = kind == ErrorKind::LocalIo && command != Command::MODIFY_FILE;
    attempt.body_left && only_once(command) && !is_dropped
}

/// Whether an error says nothing about the request itself, so that another tracker may be asked.
pub fn may_ask_another(error: &Error) -> bool {
    error.status().is_none()
        && !error.outcome_unknown()
        && matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_take_turns_and_failed_ones_rest() {
        let at = Duration::from_secs;
        let mut rotation = Rotation::new(3, 4);
        assert_eq!(rotation.order(at(0)), [1, 2, 0]);
        assert_eq!(rotation.order(at(0)), [2, 0, 1]);
        rotation.failed(0, at(10));
        assert_eq!(rotation.order(at(11)), [1, 2, 0], "0 rests");
        assert_eq!(rotation.order(at(11)), [1, 2, 0]);
        assert_eq!(rotation.order(at(12)), [2, 1, 0], "0 would be second");
        assert_eq!(rotation.order(at(13)), [0, 1, 2], "rested");
        rotation.failed(1, at(13));
        assert_eq!(rotation.order(at(13)), [2, 0, 1]);
        rotation.answered(1, 0);
        assert_eq!(rotation.order(at(13)), [2, 0, 1]);
        assert_eq!(rotation.order(at(13)), [0, 1, 2]);
    }

    #[test]
    fn the_address_that_worked_last_is_tried_first() {
        let mut rotation = Rotation::new(2, 0);
        assert_eq!(rotation.hosts(1, 2), [0, 1]);
        rotation.answered(1, 1);
        assert_eq!(rotation.hosts(1, 2), [1, 0]);
        assert_eq!(rotation.hosts(0, 1), [0]);
    }

    #[test]
    fn pauses_stay_within_their_bounds() {
        for chance in [0, 1, 450, 451, u64::MAX] {
            assert!((PAUSE_MIN..=PAUSE_MAX).contains(&pause(chance)));
        }
    }

    #[test]
    fn what_may_have_had_an_effect_is_never_sent_twice() {
        let dead = Attempt { reused: true, lost: true, body_left: true, replied: false };
        assert!(repeats(Command::DOWNLOAD_FILE, dead));
        assert!(repeats(Command::SET_METADATA, dead));
        for once in [Command::UPLOAD_FILE, Command::APPEND_FILE, Command::DELETE_FILE, Command(57)]
        {
            let lost = ErrorKind::Protocol;
            assert!(!repeats(once, dead) && outcome_unknown(once, dead, lost), "{once}");
            let unsent = Attempt { body_left: false, ..dead };
            assert!(repeats(once, unsent) && !outcome_unknown(once, unsent, lost), "{once}");
        }
        for no in [
            Attempt { reused: false, ..dead },
            Attempt { lost: false, ..dead },
            Attempt { replied: true, ..dead },
        ] {
            assert!(!repeats(Command::DOWNLOAD_FILE, no), "{no:?}");
        }
    }
}
