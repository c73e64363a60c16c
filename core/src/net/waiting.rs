//! Waiting on the caller's own thread, for calls that block: a future is polled here, and while it
//! is pending the thread waits, in a read or in `poll(2)`, for the sockets it waits for. A reply
//! then wakes the caller and no other thread; with the runtime's threads in between it would wake
//! one of them first.
//!
//! What is polled here leaves its wishes with the thread ([`readiness`], [`deadline`]). Everything
//! else (other tasks, files, names to be resolved) goes on using the runtime and wakes the thread
//! by its waker.

use super::socket::{READ_WAIT, Socket};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Time between looks while nobody can wake the thread, because no eventfd is to be had.
const BLIND_WAIT: Duration = Duration::from_millis(10);

/// The owners of a thread's [`Alarm`] during a call; any other is one who may ring it.
const ALARM_OWNERS: usize = 3;

/// States of an [`Alarm`]: the future is polled, the thread waits, somebody rang.
const AT_WORK: u8 = 0;
const WAITING: u8 = 1;
const RUNG: u8 = 2;

/// The waker of a thread.
#[derive(Debug, Default)]
struct Alarm {
    state: AtomicU8,
    /// Made when somebody may ring: mostly sockets are all there is to wait for.
    bell: OnceLock<OwnedFd>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == WAITING
            && let Some(bell) = self.bell.get()
        {
            // It fails only when it is ringing already.
            let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        }
    }
}

impl Alarm {
    fn bell(&self) -> Option<&OwnedFd> {
        if self.bell.get().is_none() {
            let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
            // Only the thread itself makes it, so nothing else can be in its place.
            let _ = self.bell.set(made);
        }
        self.bell.get()
    }

    /// Waits until a wish comes true, the deadline passes or somebody rings. It may return early.
    fn wait(self: &Arc<Self>, wishes: &Wishes) {
        let can_ring = Arc::strong_count(self) > ALARM_OWNERS;
        // What those did who have let go of it is to be seen below.
        fence(Ordering::Acquire);
        let bell = if can_ring { self.bell() } else { None };
        if self.state.swap(WAITING, Ordering::AcqRel) == RUNG {
            return;
        }
        if !can_ring && wishes.to_read().is_some_and(|socket| socket.wait_reading()) {
            return;
        }
        let mut limit = wishes.left();
        if can_ring && bell.is_none() {
            limit = Some(limit.map_or(BLIND_WAIT, |limit| limit.min(BLIND_WAIT)));
        }
        // Whose stream was closed meanwhile is nothing to wait for.
        let wished = wishes.sockets.iter();
        let sockets: Vec<_> =
            wished.filter_map(|(socket, flags)| Some((socket.upgrade()?, *flags))).collect();
        let mut fds: Vec<_> =
            sockets.iter().map(|(socket, flags)| PollFd::new(&**socket, *flags)).collect();
        fds.extend(bell.map(|bell| PollFd::new(bell, PollFlags::IN)));
        // A time too long to be told is none.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        if poll(&mut fds, limit.as_ref()).is_err() {
            // A signal, or no memory in the kernel: the same will be wished for again.
            std::thread::yield_now();
            return;
        }
        for ((socket, _), fd) in sockets.iter().zip(&fds) {
            socket.set_ready(fd.revents());
        }
        if let (Some(bell), Some(fd)) = (bell, fds.get(sockets.len()))
            && !fd.revents().is_empty()
        {
            // Whatever it says, it has been heard.
            let _ = rustix::io::read(bell, &mut [0; 8]);
        }
    }
}

/// What the future that is polled on a thread waits for.
#[derive(Debug, Default)]
struct Wishes {
    sockets: Vec<(Weak<Socket>, PollFlags)>,
    deadline: Option<Instant>,
    /// Whether who wishes to read has so little room that a socket's own does.
    may_read: bool,
}

impl Wishes {
    fn clear(&mut self) {
        self.sockets.clear();
        self.deadline = None;
        self.may_read = false;
    }

    /// Time until the deadline.
    fn left(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The socket from which a read may wait: nothing else is wished for, for long enough.
    fn to_read(&self) -> Option<Arc<Socket>> {
        let [(socket, PollFlags::IN)] = &self.sockets[..] else { return None };
        let is_fine = self.may_read && self.left().is_none_or(|left| left >= READ_WAIT);
        if is_fine { socket.upgrade() } else { None }
    }
}

/// What belongs to a thread that makes blocking calls.
#[derive(Debug, Default)]
struct Thread {
    /// With the process that made it: after a fork its eventfd would wake the parent.
    alarm: Option<(u32, Arc<Alarm>)>,
    /// Whether a call is under way.
    is_busy: bool,
    /// The process, on a thread of a runtime: a forked child has only the thread that forked it.
    works_for: Option<u32>,
    wishes: Wishes,
}

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::default();
}

/// A call under way on this thread.
struct Turn(Arc<Alarm>);

impl Turn {
    fn begin(process: u32) -> Self {
        THREAD.with_borrow_mut(|thread| {
            if thread.alarm.as_ref().is_none_or(|(owner, _)| *owner != process) {
                thread.alarm = Some((process, Arc::default()));
            }
            let alarm = thread.alarm.as_ref().map(|(_, alarm)| alarm.clone()).unwrap_or_default();
            thread.is_busy = true;
            Self(alarm)
        })
    }

    /// Waits for what the future has wished for.
    fn wait(&self) {
        let mut wishes = THREAD.with_borrow_mut(|thread| std::mem::take(&mut thread.wishes));
        self.0.wait(&wishes);
        wishes.clear();
        // Back for its memory.
        THREAD.with_borrow_mut(|thread| thread.wishes = wishes);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        THREAD.with_borrow_mut(|thread| {
            thread.is_busy = false;
            thread.wishes.clear();
        });
    }
}

/// Runs a future to its end on this thread of this process. What does not wait by itself uses the
/// runtime.
pub(crate) fn block_on<T>(
    (runtime, process): &(Handle, u32),
    future: impl Future<Output = T>,
) -> T {
    let _inside = runtime.enter();
    let turn = Turn::begin(*process);
    let waker = Waker::from(turn.0.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        turn.0.state.swap(AT_WORK, Ordering::AcqRel);
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        turn.wait();
    }
}

/// The process that runs; asked for once in a call, and not on threads that know it.
pub(crate) fn process() -> u32 {
    let known = THREAD.try_with(|thread| {
        let thread = thread.borrow();
        let of_call = || thread.alarm.as_ref().filter(|_| thread.is_busy);
        thread.works_for.or_else(|| of_call().map(|(process, _)| *process))
    });
    known.ok().flatten().unwrap_or_else(std::process::id)
}

/// This thread is one that a runtime of this process has started.
pub(crate) fn works_for(process: u32) {
    THREAD.with_borrow_mut(|thread| thread.works_for = Some(process));
}

/// Does something with the wishes of this thread's call; `None` when this is not polled by such a
/// call itself, but by a runtime, or by something within the call that has a waker of its own.
fn wish<T>(context: &Context<'_>, work: impl FnOnce(&mut Wishes) -> T) -> Option<T> {
    let wished = THREAD.try_with(|thread| {
        let thread = &mut *thread.borrow_mut();
        // Not `will_wake`, which may take two wakers of one thread for different ones.
        let (_, alarm) = thread.alarm.as_ref().filter(|_| thread.is_busy)?;
        let is_ours = std::ptr::eq(Arc::as_ptr(alarm).cast(), context.waker().data());
        is_ours.then(|| work(&mut thread.wishes))
    });
    wished.ok().flatten()
}

/// Whether what is polled waits on this thread.
pub(super) fn is_here(context: &Context<'_>) -> bool {
    wish(context, |_| ()).is_some()
}

/// Wishes for a socket to be ready.
pub(super) fn readiness(context: &Context<'_>, socket: &Arc<Socket>, flags: PollFlags) {
    wish(context, |wishes| {
        let same = |(other, _): &&mut (Weak<Socket>, _)| Weak::as_ptr(other) == Arc::as_ptr(socket);
        match wishes.sockets.iter_mut().find(same) {
            Some((_, wished)) => *wished |= flags,
            None => wishes.sockets.push((Arc::downgrade(socket), flags)),
        }
    });
}

/// Allows to wait for the only socket in a read of its own.
pub(super) fn may_read(context: &Context<'_>) {
    wish(context, |wishes| wishes.may_read = true);
}

/// Wishes to be polled at that time; `false` when this thread does not wait by itself.
pub(crate) fn deadline(context: &Context<'_>, at: Instant) -> bool {
    let earlier = |first: Option<Instant>| first.map_or(at, |first| first.min(at));
    wish(context, |wishes| wishes.deadline = Some(earlier(wishes.deadline))).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    fn here(runtime: &tokio::runtime::Runtime) -> (Handle, u32) {
        (runtime.handle().clone(), std::process::id())
    }

    #[test]
    fn a_call_waits_on_its_thread_and_a_task_does_not() {
        let runtime = runtime();
        let is_ours = || poll_fn(|context| Poll::Ready(is_here(context)));
        let of_others = || {
            let waker = Waker::noop();
            is_here(&Context::from_waker(waker))
        };
        let (own, other, task) = block_on(&here(&runtime), async {
            (is_ours().await, of_others(), tokio::spawn(is_ours()).await.unwrap())
        });
        assert!(own && !other && !task);
        assert!(!runtime.block_on(is_ours()));
    }

    #[test]
    fn whoever_rings_wakes_the_thread() {
        let runtime = runtime();
        for _ in 0..1000 {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            std::thread::scope(|scope| {
                scope.spawn(|| sender.send(7).unwrap());
                assert_eq!(block_on(&here(&runtime), receiver).unwrap(), 7);
            });
        }
    }

    #[test]
    fn a_thread_wakes_when_its_time_has_come() {
        let runtime = runtime();
        let begin = Instant::now();
        let limit = Duration::from_millis(20);
        let first = begin + limit;
        block_on(&here(&runtime), async {
            // The earlier of two counts, whichever is wished for first.
            tokio::join!(
                super::super::timer::sleep_until(first + limit),
                super::super::timer::sleep_until(first)
            );
        });
        assert!(begin.elapsed() >= 2 * limit);
    }
}
