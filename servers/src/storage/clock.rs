//! The time of day, as an argument.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};

/// Tells Unix seconds.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn unix_secs(&self) -> i64;
}

/// The host's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_secs(&self) -> i64 {
        // The coarse clock is what the kernel stamps files with, so that the time in a new file's
        // name and its modification time agree.
        rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse).tv_sec
    }
}

/// A clock that tests move by hand.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at this time.
    pub fn new(unix_secs: i64) -> Self {
        Self(AtomicI64::new(unix_secs))
    }

    /// Moves it.
    pub fn set(&self, unix_secs: i64) {
        self.0.store(unix_secs, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_secs(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
