//! A worker of the runtime that is kept out of its work until the others hang.
//!
//! File calls run on the threads that serve connections, because handing each to another thread
//! costs more than the call. A disk that hangs takes these threads with it, and with the last of
//! them the network. So a daemon's runtime has one worker more than it uses: it sleeps inside a
//! task, costs nothing, and is let go as soon as a file call takes suspiciously long. While it is
//! out, no file call runs on a worker, so that it cannot be caught, too.

use super::lane::Pulse;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;
use tokio::runtime::Handle;

/// Time between two looks for calls that hang.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Looks in vain after which there are none until there is work again.
const LOOKS_IDLE: u32 = 100;

/// What the worker sleeps at.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: Open,
    /// How often it was opened. Who slept before that wakes, also when it is closed again by then:
    /// another has been sent to sleep, and two would be one too many.
    opened: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    #[default]
    No,
    Yes,
    /// The runtime or the storage ends.
    ForGood,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, to: Open) {
        let mut state = self.lock();
        if state.open != Open::ForGood {
            state.open = to;
        }
        state.opened += u64::from(to != Open::No);
        self.changed.notify_all();
    }

    /// Blocks the thread, which is what it is for, until the gate has been opened more often than
    /// this.
    fn wait(&self, opened: u64) {
        let mut state = self.lock();
        while state.open == Open::No && state.opened == opened {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Opens the gate when it goes, wherever that is.
#[derive(Debug)]
struct Opener(Arc<Gate>);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.set(Open::ForGood);
    }
}

/// The spare worker, and the thread that watches for calls that hang.
#[derive(Debug)]
pub struct Spare {
    pulses: Mutex<Vec<Arc<Pulse>>>,
    out: AtomicBool,
    /// Whether somebody watches. Without work for a while nobody does.
    watching: AtomicBool,
    watcher: Thread,
    _gate: Opener,
}

impl Spare {
    /// Withholds one worker of `runtime`; `None` when that has no other, or no thread can be had.
    pub fn withhold(runtime: &Handle) -> Option<Arc<Self>> {
        if runtime.metrics().num_workers() < 2 {
            return None;
        }
        let gate = Arc::new(Gate::default());
        let (send, receive) = std::sync::mpsc::channel::<Weak<Self>>();
        let (for_watcher, of_runtime) = (gate.clone(), runtime.clone());
        let watcher = thread::Builder::new().name("fdfs-spare".into()).spawn(move || {
            if let Ok(spare) = receive.recv() {
                watch(&spare, &for_watcher, &of_runtime);
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "nobody watches disks"));
        let watcher = watcher.ok()?.thread().clone();
        // A runtime that ends drops its tasks before it waits for its workers.
        let opener = Opener(gate.clone());
        runtime.spawn(async move {
            let _opener = opener;
            pending::<()>().await;
        });
        sleep_on(&gate, runtime);
        let spare = Arc::new(Self {
            pulses: Mutex::default(),
            out: AtomicBool::new(false),
            watching: AtomicBool::new(true),
            watcher,
            _gate: Opener(gate),
        });
        // Fails only when the thread has ended, which it does not before this.
        let _ = send.send(Arc::downgrade(&spare));
        Some(spare)
    }

    /// Watches the calls of one more store path.
    pub(super) fn watch(&self, pulse: Arc<Pulse>) {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).push(pulse);
    }

    /// Whether it has been let go: no file call may run on a worker.
    pub(super) fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    /// Tells that a file call begins on a worker.
    pub(super) fn note_work(&self) {
        if !self.watching.load(Ordering::SeqCst) && !self.watching.swap(true, Ordering::SeqCst) {
            self.watcher.unpark();
        }
    }

    fn any(&self, what: impl Fn(&Pulse) -> bool) -> bool {
        let pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.iter().any(|pulse| what(pulse))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.watcher.unpark();
    }
}

fn sleep_on(gate: &Arc<Gate>, runtime: &Handle) {
    let (gate, opened) = (gate.clone(), gate.lock().opened);
    runtime.spawn(async move {
        // A worker that takes a task from outside may have one of its own to do next, which no
        // other worker would take from it. It comes back to this one when it has none.
        tokio::task::yield_now().await;
        gate.wait(opened);
    });
}

fn watch(spare: &Weak<Spare>, gate: &Arc<Gate>, runtime: &Handle) {
    let mut looks_idle = 0;
    while let Some(found) = spare.upgrade() {
        let hangs = found.any(Pulse::is_stuck);
        if hangs != found.out.swap(hangs, Ordering::SeqCst) {
            if hangs {
                tracing::warn!("a file call hangs: its store path is served by threads of its own");
                gate.set(Open::Yes);
            } else {
                gate.set(Open::No);
                sleep_on(gate, runtime);
            }
        }
        looks_idle = if found.any(Pulse::is_running) { 0 } else { looks_idle + 1 };
        if looks_idle > LOOKS_IDLE {
            looks_idle = 0;
            found.watching.store(false, Ordering::SeqCst);
            // Whoever began before that did not see it.
            if !found.any(Pulse::is_running) {
                drop(found);
                thread::park();
            }
            continue;
        }
        drop(found);
        thread::sleep(LOOK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::Lane;
    use super::*;

    fn runtime(workers: usize) -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(workers).enable_all().build().unwrap()
    }

    #[test]
    fn sockets_and_clocks_are_attended_while_all_other_workers_hang() {
        let runtime = runtime(3);
        let spare = Spare::withhold(runtime.handle()).unwrap();
        for _ in 0..10 {
            let lane = Arc::new(Lane::new(1, Some(spare.clone())));
            let barrier = Arc::new(std::sync::Barrier::new(3));
            let hanging: Vec<_> = (0..2)
                .map(|_| {
                    let (lane, barrier) = (lane.clone(), barrier.clone());
                    runtime.spawn(async move {
                        // Woken by the runtime's clock: whoever looks after it hangs, too.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        let here = lane.here();
                        barrier.wait();
                        here.is_some()
                    })
                })
                .collect();
            let released = runtime.spawn(async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                tokio::task::spawn_blocking(move || barrier.wait()).await.unwrap();
            });
            runtime.block_on(async {
                let mut had_leave = false;
                for hung in hanging {
                    had_leave |= hung.await.unwrap();
                }
                // The other may have come so late that the first was known to hang.
                assert!(had_leave, "one at least was seen");
                released.await.unwrap();
            });
            while spare.is_out() {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Tasks that wake each other stand in the place of a worker from which no other takes them.
    #[test]
    fn no_task_stays_behind_with_the_worker_that_sleeps() {
        const PAIRS: usize = 8;
        const TURNS: usize = 2000;
        let runtime = runtime(3);
        for _ in 0..5 {
            let gate = Arc::new(Gate::default());
            let _opener = Opener(gate.clone());
            let mut playing = tokio::task::JoinSet::new();
            for _ in 0..PAIRS {
                let (ping, mut pinged) = tokio::sync::mpsc::channel::<()>(1);
                let (pong, mut ponged) = tokio::sync::mpsc::channel::<()>(1);
                playing.spawn_on(
                    async move {
                        while pinged.recv().await.is_some() {
                            let _ = pong.send(()).await;
                        }
                    },
                    runtime.handle(),
                );
                playing.spawn_on(
                    async move {
                        for _ in 0..TURNS {
                            ping.send(()).await.unwrap();
                            ponged.recv().await.unwrap();
                        }
                    },
                    runtime.handle(),
                );
            }
            for _ in 0..20 {
                gate.set(Open::Yes);
                thread::sleep(Duration::from_micros(100));
                gate.set(Open::No);
                sleep_on(&gate, runtime.handle());
            }
            runtime.block_on(async {
                let all = async { while playing.join_next().await.is_some() {} };
                let ended = tokio::time::timeout(Duration::from_secs(10), all).await;
                ended.expect("no task waits for the worker that sleeps");
            });
        }
    }

    #[test]
    fn a_runtime_ends_although_a_worker_sleeps() {
        let ended = runtime(2);
        let spare = Spare::withhold(ended.handle());
        drop(ended);
        drop(spare);
        let kept = runtime(2);
        drop(Spare::withhold(kept.handle()));
        drop(kept);
        assert!(Spare::withhold(runtime(1).handle()).is_none(), "there is none to spare");
    }
}
