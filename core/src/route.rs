//! Which server next: decisions only; time and chance are arguments.

use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// How long a tracker that failed is asked last.
const REST: Duration = Duration::from_secs(3);
/// Shortest and longest pause between two rounds over all trackers.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The order in which trackers are asked. Times are counted from any fixed moment.
#[derive(Debug)]
pub struct Rotation {
    next: usize,
    failed_at: Vec<Option<Duration>>,
}

impl Rotation {
    /// A rotation over `count` trackers that begins at `first`.
    pub fn new(count: usize, first: usize) -> Self {
        Self { next: first % count.max(1), failed_at: vec![None; count] }
    }

    /// All trackers, the next one first and those that failed lately last.
    pub fn order(&mut self, now: Duration) -> Vec<usize> {
        let count = self.failed_at.len();
        let start = self.next;
        self.next = (start + 1) % count.max(1);
        let mut order: Vec<usize> = (start..count).chain(0..start).collect();
        let rests = |at: &usize| {
            let failed = self.failed_at.get(*at).copied().flatten();
            failed.is_some_and(|failed| now.saturating_sub(failed) < REST)
        };
        order.sort_by_key(rests);
        order
    }

    /// Notes that a tracker failed.
    pub fn failed(&mut self, index: usize, now: Duration) {
        if let Some(failed) = self.failed_at.get_mut(index) {
            *failed = Some(now);
        }
    }

    /// Notes that a tracker answered.
    pub fn answered(&mut self, index: usize) {
        if let Some(failed) = self.failed_at.get_mut(index) {
            *failed = None;
        }
    }
}

/// The pause before the next round; `chance` is anything at all.
pub fn pause(chance: u64) -> Duration {
    let span = u64::try_from((PAUSE_MAX - PAUSE_MIN).as_millis()).unwrap_or(0) + 1;
    PAUSE_MIN + Duration::from_millis(chance % span)
}

/// Whether an error says nothing about the request itself, so that another server may be asked:
/// only as long as nothing of the request can have had an effect.
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
        assert_eq!(rotation.order(at(11)), [1, 2, 0]);
        assert_eq!(rotation.order(at(12)), [1, 2, 0], "0 would be second, but rests");
        rotation.order(at(12));
        assert_eq!(rotation.order(at(13)), [0, 1, 2], "rested");
        rotation.failed(2, at(13));
        rotation.answered(2);
        assert_eq!(rotation.order(at(13)), [1, 2, 0]);
    }

    #[test]
    fn pauses_stay_within_their_bounds() {
        for chance in [0, 1, 450, 451, u64::MAX] {
            assert!((PAUSE_MIN..=PAUSE_MAX).contains(&pause(chance)));
        }
    }
}
