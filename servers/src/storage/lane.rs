//! Where the file work of one store path runs.
//!
//! A call that stays within the page cache takes microseconds; handing it to another thread would
//! cost more than the call. A sick disk takes seconds, and would stall every connection that
//! shares its thread. So each store path has a lane: work runs where it is asked for while the
//! path is fast, and on a bounded number of threads of its own while it is slow.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Average beyond which a path counts as slow.
const SLOW_AVERAGE: Duration = Duration::from_millis(1);
/// A call that has been running for this long makes its path slow before it ends.
const STUCK: Duration = Duration::from_millis(20);
/// Weight of the newest call in the average: 1 of this many.
const WEIGHT: u64 = 8;

/// The lane of one store path.
#[derive(Debug)]
pub struct Lane {
    epoch: Instant,
    average_nanos: AtomicU64,
    running: AtomicUsize,
    /// When the calls running now began or last ended, in nanoseconds since `epoch`.
    progress_nanos: AtomicU64,
    threads: Semaphore,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Lane {
    /// A fast lane that may use `threads` threads when it is slow.
    pub fn new(threads: usize) -> Self {
        Self {
            epoch: Instant::now(),
            average_nanos: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            progress_nanos: AtomicU64::new(0),
            threads: Semaphore::new(threads.max(1)),
        }
    }

    /// Whether work would be handed to other threads now.
    pub fn is_slow(&self) -> bool {
        let stuck = self.running.load(Ordering::Relaxed) > 0
            && nanos(self.epoch.elapsed())
                .saturating_sub(self.progress_nanos.load(Ordering::Relaxed))
                > nanos(STUCK);
        stuck || self.average_nanos.load(Ordering::Relaxed) > nanos(SLOW_AVERAGE)
    }

    fn note(&self, began: Instant) {
        let took = nanos(began.elapsed());
        let average = self.average_nanos.load(Ordering::Relaxed);
        let average = average - average / WEIGHT + took / WEIGHT;
        self.average_nanos.store(average, Ordering::Relaxed);
        self.progress_nanos.store(nanos(self.epoch.elapsed()), Ordering::Relaxed);
    }

    /// Runs file work.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run_with(&[], |_| work()).await
    }

    /// Runs file work on `content`, which is copied only when another thread needs it.
    pub async fn run_with<T: Send + 'static>(
        &self,
        content: &[u8],
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> T {
        if self.is_slow() {
            return self.run_elsewhere(content.to_vec(), work).await;
        }
        let began = Instant::now();
        if self.running.fetch_add(1, Ordering::Relaxed) == 0 {
            self.progress_nanos.store(nanos(self.epoch.elapsed()), Ordering::Relaxed);
        }
        let done = work(content);
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.note(began);
        done
    }

    async fn run_elsewhere<T: Send + 'static>(
        &self,
        content: Vec<u8>,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> T {
        // The semaphore is never closed; an error would only mean running without a permit.
        let permit = self.threads.acquire().await;
        let began = Instant::now();
        let done = tokio::task::spawn_blocking(move || work(&content)).await;
        self.note(began);
        drop(permit);
        match done {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down and this connection with it.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread::{current, sleep};

    #[tokio::test]
    async fn work_moves_to_other_threads_while_the_path_is_slow_and_back() {
        let lane = Lane::new(2);
        let here = current().id();
        assert_eq!(lane.run(|| current().id()).await, here);
        lane.run(|| sleep(Duration::from_millis(30))).await;
        assert!(lane.is_slow());
        assert_ne!(lane.run_with(b"abc", |content| (current().id(), content.len())).await.0, here);
        for _ in 0..100 {
            lane.run(|| ()).await;
        }
        assert_eq!(lane.run(|| current().id()).await, here, "fast again");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_that_hangs_makes_its_path_slow_before_it_ends() {
        let lane = Arc::new(Lane::new(1));
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
