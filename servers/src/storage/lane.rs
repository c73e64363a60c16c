//! Where the file work of one store path runs.
//!
//! A call that stays within the page cache takes microseconds; handing it to another thread would
//! cost more than the call. A sick disk takes seconds, and would stall every connection that
//! shares its thread. So each store path has a lane: work runs where it is asked for while the
//! path is fast, and on a bounded number of threads of its own while it is slow.

use super::spare::Spare;
use crate::daemon::blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Average beyond which a path counts as slow.
const SLOW_AVERAGE: Duration = Duration::from_millis(1);
/// Average beyond which making something durable is handed to threads. Only memory is faster, and
/// on a disk the more wait together, the fewer times it has to turn.
const SLOW_SYNC_AVERAGE: Duration = Duration::from_micros(50);
/// Threads that wait for one disk to make something durable.
const SYNC_THREADS: usize = 16;
/// A call that has been running for this long makes its path slow before it ends.
const STUCK: Duration = Duration::from_millis(20);
/// Weight of the newest call in the average: 1 of this many. One call in the middle of which
/// another program had the processor must not make a path slow.
const WEIGHT: u64 = 32;
/// No call counts for more, so that a path that hung once is soon trusted again.
const SAMPLE_MAX: Duration = Duration::from_millis(200);

/// The calls of one store path that run on workers now.
#[derive(Debug)]
pub(super) struct Pulse {
    epoch: Instant,
    running: AtomicUsize,
    /// When the calls running now began or last ended, in nanoseconds since `epoch`.
    progress_nanos: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        let (running, progress_nanos) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { epoch: Instant::now(), running, progress_nanos }
    }

    fn beat(&self, now: Instant) {
        self.progress_nanos.store(nanos(now - self.epoch), Ordering::Relaxed);
    }

    /// Whether there are any.
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    /// Whether none has ended for suspiciously long.
    pub(super) fn is_stuck(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
            && nanos(self.epoch.elapsed())
                .saturating_sub(self.progress_nanos.load(Ordering::Relaxed))
                > nanos(STUCK)
    }
}

/// The lane of one store path.
#[derive(Debug)]
pub(super) struct Lane {
    average_nanos: AtomicU64,
    slow_average: Duration,
    pulse: Arc<Pulse>,
    threads: Semaphore,
    spare: Option<Arc<Spare>>,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Lane {
    /// A fast lane that may use `threads` threads when it is slow. Without a spare worker, calls
    /// that hang may take all workers with them.
    pub(super) fn new(threads: usize, spare: Option<Arc<Spare>>) -> Self {
        let pulse = Arc::new(Pulse::new());
        if let Some(spare) = &spare {
            spare.watch(pulse.clone());
        }
        let (threads, slow_average) = (Semaphore::new(threads.max(1)), SLOW_AVERAGE);
        Self { average_nanos: AtomicU64::new(0), slow_average, pulse, threads, spare }
    }

    /// A lane for work that makes something durable: taken for slow until it has been fast.
    pub(super) fn for_syncs(spare: Option<Arc<Spare>>) -> Self {
        let lane = Self::new(SYNC_THREADS, spare);
        let average_nanos = AtomicU64::new(nanos(2 * SLOW_SYNC_AVERAGE));
        Self { average_nanos, slow_average: SLOW_SYNC_AVERAGE, ..lane }
    }

    /// Whether work would be handed to other threads now.
    pub(super) fn is_slow(&self) -> bool {
        self.average_nanos.load(Ordering::Relaxed) > nanos(self.slow_average)
            || self.pulse.is_stuck()
    }

    fn note(&self, took: Duration) {
        let took = nanos(took.min(SAMPLE_MAX));
        let average = self.average_nanos.load(Ordering::Relaxed);
        let average = average - average / WEIGHT + took / WEIGHT;
        self.average_nanos.store(average, Ordering::Relaxed);
    }

    /// Leave to run work on this thread, for as long as it is held: when the path is fast and no
    /// other hangs.
    pub(super) fn here(&self) -> Option<Here<'_>> {
        let began = Instant::now();
        if self.is_slow() || self.spare.as_ref().is_some_and(|spare| spare.is_out()) {
            return None;
        }
        if self.pulse.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.pulse.beat(began);
        }
        if let Some(spare) = &self.spare {
            spare.note_work();
        }
        Some(Here { lane: self, began })
    }

    /// Runs file work.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.run_with(&[], |_| work()).await
    }

    /// Runs file work on `content`, which is copied only when another thread needs it.
    pub(super) async fn run_with<T: Send + 'static>(
        &self,
        content: &[u8],
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> T {
        if let Some(_here) = self.here() {
            return work(content);
        }
        let content = content.to_vec();
        // The semaphore is never closed; an error would only mean running without a permit.
        let permit = self.threads.acquire().await;
        let timed = elsewhere(move || {
            let began = Instant::now();
            (work(&content), began.elapsed())
        });
        let (done, took) = timed.await;
        self.note(took);
        drop(permit);
        done
    }

    /// Runs work that takes long on any disk, such as reading a whole file. It says nothing about
    /// the health of the path.
    pub(super) async fn run_long<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let _permit = self.threads.acquire().await;
        elsewhere(work).await
    }
}

/// One piece of work on a connection's thread; a panic ends it too.
#[derive(Debug)]
pub(super) struct Here<'l> {
    lane: &'l Lane,
    began: Instant,
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.lane.pulse.beat(now);
        self.lane.pulse.running.fetch_sub(1, Ordering::SeqCst);
        self.lane.note(now - self.began);
    }
}

async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down and this connection with it.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{current, sleep};

    fn lane(threads: usize) -> Lane {
        Lane::new(threads, None)
    }

    #[tokio::test]
    async fn work_moves_to_other_threads_while_the_path_is_slow_and_back() {
        let lane = lane(2);
        let here = current().id();
        assert_eq!(lane.run(|| current().id()).await, here);
        lane.run(|| sleep(Duration::from_millis(10))).await;
        assert_eq!(lane.run(|| current().id()).await, here, "once is no habit");
        lane.run(|| sleep(Duration::from_millis(40))).await;
        assert!(lane.is_slow());
        assert_ne!(lane.run_with(b"abc", |content| (current().id(), content.len())).await.0, here);
        for _ in 0..100 {
            lane.run(|| ()).await;
        }
        assert_eq!(lane.run(|| current().id()).await, here, "fast again");
        assert_ne!(lane.run_long(|| current().id()).await, here);
        lane.run_long(|| sleep(Duration::from_millis(30))).await;
        assert!(!lane.is_slow(), "long work is expected to take long");
    }

    #[tokio::test]
    async fn syncs_run_on_threads_until_they_prove_to_cost_nothing() {
        let lane = Lane::for_syncs(None);
        let here = current().id();
        assert_ne!(lane.run(|| current().id()).await, here);
        for _ in 0..100 {
            lane.run(|| ()).await;
        }
        assert_eq!(lane.run(|| current().id()).await, here);
        lane.run(|| sleep(Duration::from_millis(3))).await;
        assert_ne!(lane.run(|| current().id()).await, here);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_that_hangs_makes_its_path_slow_before_it_ends() {
        let lane = Arc::new(lane(1));
        let (stuck, release) = std::sync::mpsc::channel::<()>();
        let hanging = lane.clone();
        let hung = tokio::spawn(async move {
            hanging.run(move || release.recv()).await.unwrap();
        });
        while !lane.is_slow() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stuck.send(()).unwrap();
        hung.await.unwrap();
    }
}
