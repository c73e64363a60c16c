//! Calls that are begun now and collected later, many at a time: for programs that have no runtime
//! of their own and want many calls under way without a thread for each.

use super::caught::Caught;
use super::runtime::{self, Process};
use crate::error::{Error, ErrorKind, Result};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
#[cfg(unix)]
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Largest capacity of a queue.
const CAPACITY_MAX: usize = 1 << 16;

/// A call that has ended: the tag it was begun with, and what came of it.
pub type Ended<T, D> = (T, Result<D>);

/// Calls under way and their ends. All threads may use it at the same time.
///
/// What a call holds is let go of before its end can be collected, and before the queue is gone:
/// dropping it cancels the calls under way and waits for that.
///
/// ```no_run
/// # fn example(client: fdfs_core::client::Client) -> fdfs_core::Result<()> {
/// use fdfs_core::client::{Queue, UploadOptions};
///
/// let queue = Queue::new(64)?;
/// for number in 0..64 {
///     let client = client.clone();
///     let options = UploadOptions::ext("txt");
///     queue.begin(number, move || async move { client.upload(b"...", options).await })?;
/// }
/// loop {
///     let ended = queue.collect(64, None)?;
///     if ended.is_empty() {
///         return Ok(());
///     }
///     for (number, id) in ended {
///         println!("{number}: {}", id?);
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Queue<T: Send + 'static, D: Send + 'static> {
    shared: Arc<Shared<T, D>>,
    runtime: Handle,
    process: Process,
}

#[derive(Debug)]
struct Shared<T, D> {
    /// Calls that may be begun and not collected yet.
    capacity: usize,
    state: Mutex<State<T, D>>,
    /// Told when there is something to collect, or nothing left to wait for.
    changed: Condvar,
    /// Made when somebody asks for it.
    bell: OnceLock<Bell>,
}

#[derive(Debug)]
struct State<T, D> {
    /// The number of the next call.
    next: u64,
    /// Those under way, by number; none for one that is just being started.
    running: HashMap<u64, Option<AbortHandle>>,
    /// Those that the task will start which the first of them has started.
    begun: Vec<Begun>,
    ended: VecDeque<Ended<T, D>>,
    /// Threads that wait for ends.
    waiting: usize,
    /// Whether the queue waits for the calls to be gone.
    is_closing: bool,
    /// Whether the bell is readable.
    is_rung: bool,
}

/// A call that is started by a thread of the runtime: that is where its memory is given back, and to
/// do so on another thread than it was taken costs a lock.
struct Begun {
    number: u64,
    start: Box<dyn FnOnce() -> AbortHandle + Send>,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Begun").field(&self.number).finish()
    }
}

/// What is readable while there is something to collect.
#[derive(Debug)]
struct Bell {
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

impl Bell {
    fn new() -> Result<Self> {
        Self::open().map_err(|error| {
            Error::new(ErrorKind::LocalIo, "cannot make a pipe").with_source(error)
        })
    }

    fn open() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // Whoever reads what is not his must not make the queue wait.
        #[cfg(unix)]
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok(Self { reader, writer })
    }
}

impl<T, D> Shared<T, D> {
    fn lock(&self) -> MutexGuard<'_, State<T, D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts all calls that have been begun.
    fn start(&self) {
        let begun = std::mem::take(&mut self.lock().begun);
        let started = begun.into_iter().map(|call| (call.number, (call.start)()));
        let started: Vec<(u64, AbortHandle)> = started.collect();
        let mut state = self.lock();
        for (number, task) in started {
            if state.is_closing {
                task.abort();
            }
            // It may have ended already.
            if let Some(running) = state.running.get_mut(&number) {
                *running = Some(task);
            }
        }
    }

    /// Makes the bell readable, if there is one, or not. It has one byte at most.
    fn set_bell(&self, state: &mut State<T, D>, rings: bool) {
        let Some(bell) = self.bell.get().filter(|_| rings != state.is_rung) else { return };
        // There is room for the byte, and none to be read was taken by somebody else.
        let _ = match rings {
            true => (&bell.writer).write(&[1]),
            false => (&bell.reader).read(&mut [0]),
        };
        state.is_rung = rings;
    }

    /// Keeps the end of a call; whether somebody has to be told of it.
    fn end(&self, number: u64, ended: Ended<T, D>) -> bool {
        let mut state = self.lock();
        state.running.remove(&number);
        state.ended.push_back(ended);
        if state.is_closing {
            self.changed.notify_all();
        }
        // With one that is there already, whoever ended that one sees to it.
        state.ended.len() == 1 && (state.waiting > 0 || self.bell.get().is_some())
    }

    /// Tells those who wait that there is something to collect, unless it has been collected.
    fn ring(&self) {
        let mut state = self.lock();
        if !state.ended.is_empty() {
            self.set_bell(&mut state, true);
            if state.waiting > 0 {
                self.changed.notify_all();
            }
        }
    }
}

/// A call's place in its queue, which it leaves in any case.
struct Place<T, D> {
    shared: Arc<Shared<T, D>>,
    number: u64,
    tag: Option<T>,
}

impl<T, D> Place<T, D> {
    fn end(&mut self, done: Result<D>) -> bool {
        let ended = self.tag.take().map(|tag| (tag, done));
        ended.is_some_and(|ended| self.shared.end(self.number, ended))
    }
}

impl<T, D> Drop for Place<T, D> {
    fn drop(&mut self) {
        let text = "the call was given up";
        if self.end(Err(Error::new(ErrorKind::Cancelled, text))) {
            self.shared.ring();
        }
    }
}

/// A call and its place, in this order: nothing of the call may be left when its place is.
struct UnderWay<F, T, D> {
    call: Caught<F>,
    place: Place<T, D>,
}

impl<F: Future<Output = Result<D>>, T, D> UnderWay<F, T, D> {
    async fn run(self) {
        let Self { call, mut place } = self;
        let done = call.await;
        if place.end(done) {
            // Calls that end in the same turn of this thread are collected together.
            tokio::task::yield_now().await;
            place.shared.ring();
        }
    }
}

impl<T: Send + 'static, D: Send + 'static> Queue<T, D> {
    /// A queue for that many calls, counted until they are collected.
    pub fn new(capacity: usize) -> Result<Self> {
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            let text = format!("a queue for {capacity} calls: 1 to {CAPACITY_MAX}");
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let state = State {
            next: 0,
            running: HashMap::new(),
            begun: Vec::new(),
            ended: VecDeque::new(),
            waiting: 0,
            is_closing: false,
            is_rung: false,
        };
        let shared = Shared {
            capacity,
            state: Mutex::new(state),
            changed: Condvar::new(),
            bell: OnceLock::new(),
        };
        let process = Process::current();
        Ok(Self { shared: Arc::new(shared), runtime: runtime::handle()?, process })
    }

    /// Begins a call, which is made on a thread of the runtime. A full queue takes none, which is an
    /// error of kind `Busy`.
    pub fn begin<F: Future<Output = Result<D>> + Send + 'static>(
        &self,
        tag: T,
        call: impl FnOnce() -> F + Send + 'static,
    ) -> Result<()> {
        self.process.check()?;
        let mut state = self.shared.lock();
        if state.running.len() + state.ended.len() >= self.shared.capacity {
            let text = format!("the queue is full with {} calls", self.shared.capacity);
            return Err(Error::new(ErrorKind::Busy, text));
        }
        let number = state.next;
        state.next += 1;
        state.running.insert(number, None);
        let place = Place { shared: self.shared.clone(), number, tag: Some(tag) };
        let start = Box::new(move || {
            let call = Caught::new(async move { call().await });
            tokio::spawn(UnderWay { call, place }.run()).abort_handle()
        });
        state.begun.push(Begun { number, start });
        let is_first = state.begun.len() == 1;
        drop(state);
        if is_first {
            let shared = self.shared.clone();
            self.runtime.spawn(async move { shared.start() });
        }
        Ok(())
    }

    /// Takes up to `room` calls that have ended, in the order in which they did; waits for the
    /// first. None when the time has passed (absent: as long as it takes), or nothing is under way.
    pub fn collect(&self, room: usize, timeout: Option<Duration>) -> Result<Vec<Ended<T, D>>> {
        self.process.check()?;
        let mut state = self.shared.lock();
        if state.ended.is_empty() && timeout != Some(Duration::ZERO) {
            state = self.wait(state, timeout);
        }
        let count = state.ended.len().min(room);
        let collected = state.ended.drain(..count).collect();
        if state.ended.is_empty() {
            self.shared.set_bell(&mut state, false);
            if state.running.is_empty() && state.waiting > 0 {
                self.shared.changed.notify_all();
            }
        }
        Ok(collected)
    }

    /// Waits until there is something to collect, or no sense in waiting.
    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State<T, D>>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'s, State<T, D>> {
        // A time beyond all times is none.
        let until = timeout.and_then(|limit| Instant::now().checked_add(limit));
        let changed = &self.shared.changed;
        state.waiting += 1;
        while state.ended.is_empty() && !state.running.is_empty() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let woken = changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.waiting -= 1;
        state
    }

    /// What can be read from as long as there is something to collect, for loops that wait for
    /// many things. Nobody but the queue may read from it.
    #[cfg(unix)]
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.process.check()?;
        let mut state = self.shared.lock();
        if self.shared.bell.get().is_none() {
            // Set under this lock alone.
            let _ = self.shared.bell.set(Bell::new()?);
        }
        let rings = !state.ended.is_empty();
        self.shared.set_bell(&mut state, rings);
        self.shared
            .bell
            .get()
            .map(|bell| bell.reader.as_fd())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a bell that was made is not there"))
    }
}

impl<T: Send + 'static, D: Send + 'static> Drop for Queue<T, D> {
    fn drop(&mut self) {
        if self.process.check().is_err() {
            // The parent's calls are not in this process, and nobody will leave their lock.
            std::mem::forget(self.shared.clone());
            return;
        }
        let mut state = self.shared.lock();
        state.is_closing = true;
        let tasks: Vec<_> = state.running.values().flatten().cloned().collect();
        let begun = std::mem::take(&mut state.begun);
        drop(state);
        drop(begun);
        tasks.iter().for_each(AbortHandle::abort);
        let mut state = self.shared.lock();
        while !state.running.is_empty() {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};
    use std::task::{Context, Poll};
    use tokio::sync::oneshot;

    const LONG: Option<Duration> = Some(Duration::from_secs(20));
    const SHORT: Option<Duration> = Some(Duration::from_millis(20));

    /// Tells that it is gone, a while after it began to go.
    struct Borrowed(Arc<Mutex<bool>>);

    impl Drop for Borrowed {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(20));
            *self.0.lock().unwrap() = true;
        }
    }

    #[test]
    fn every_call_is_collected_once_with_its_tag_and_a_full_queue_takes_none() {
        let queue = Queue::new(3).unwrap();
        assert!(queue.collect(9, None).unwrap().is_empty(), "nothing is under way");
        let (first, third) = (oneshot::channel(), oneshot::channel());
        queue.begin(1, || async move { first.1.await.unwrap() }).unwrap();
        queue.begin(2, || ready(Err(Error::new(ErrorKind::NotFound, "no")))).unwrap();
        queue.begin(3, || async move { third.1.await.unwrap() }).unwrap();
        let collected = queue.collect(9, LONG).unwrap();
        let [(2, Err(error))] = &collected[..] else { unreachable!("{collected:?}") };
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(queue.collect(9, Some(Duration::ZERO)).unwrap().is_empty());
        assert!(queue.collect(9, SHORT).unwrap().is_empty());

        queue.begin(4, || ready(Ok(()))).unwrap();
        let full = queue.begin(5, || ready(Ok(()))).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Busy);
        first.0.send(Ok(())).unwrap();
        third.0.send(Ok(())).unwrap();
        let mut tags: Vec<i32> = Vec::new();
        while tags.len() < 3 {
            let one = queue.collect(1, LONG).unwrap();
            assert!(one.len() == 1 && one[0].1.is_ok());
            tags.push(one[0].0);
        }
        tags.sort_unstable();
        assert_eq!(tags, [1, 3, 4]);
        assert!(queue.collect(9, None).unwrap().is_empty());
        assert!(Queue::<(), ()>::new(0).is_err() && Queue::<(), ()>::new(1 << 17).is_err());
    }

    #[test]
    fn a_panic_is_the_end_of_its_call() {
        let queue = Queue::<(), ()>::new(1).unwrap();
        #[allow(clippy::panic, reason = "that is what is caught")]
        queue.begin((), || async { panic!("here") }).unwrap();
        let collected = queue.collect(1, LONG).unwrap();
        assert_eq!(collected[0].1.as_ref().unwrap_err().kind(), ErrorKind::Internal);
    }

    #[test]
    fn what_calls_borrow_is_back_before_their_end_is_seen_and_before_the_queue_is_gone() {
        let flags: [Arc<Mutex<bool>>; 2] = Default::default();
        let queue = Queue::new(2).unwrap();
        let borrowed = Borrowed(flags[0].clone());
        // It has the loan until it is dropped, not until it has ended.
        let lent = move |_: &mut Context<'_>| {
            let _ = &borrowed;
            Poll::Ready(Ok(()))
        };
        queue.begin(1, || poll_fn(lent)).unwrap();
        assert_eq!(queue.collect(1, LONG).unwrap()[0].0, 1);
        assert!(*flags[0].lock().unwrap());
        let borrowed = Borrowed(flags[1].clone());
        queue
            .begin(2, || async move { pending::<Result<()>>().await.map(|()| drop(borrowed)) })
            .unwrap();
        drop(queue);
        assert!(*flags[1].lock().unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn the_bell_can_be_read_as_long_as_something_is_to_be_collected() {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let queue = Queue::new(9).unwrap();
        let bell = queue.fd().unwrap();
        let rings = |limit: Duration| {
            let limit = Timespec::try_from(limit).unwrap();
            poll(&mut [PollFd::from_borrowed_fd(bell, PollFlags::IN)], Some(&limit)).unwrap() == 1
        };
        assert!(!rings(Duration::ZERO));
        for round in 0..3 {
            queue.begin(round, || ready(Ok(()))).unwrap();
            queue.begin(round, || ready(Ok(()))).unwrap();
            assert!(rings(Duration::from_secs(20)));
            let mut left = 2;
            while left > 0 {
                assert!(rings(Duration::from_secs(20)));
                left -= queue.collect(1, LONG).unwrap().len();
            }
            assert!(!rings(Duration::ZERO));
        }

        // One that is made late says what has happened before.
        let queue = Queue::new(1).unwrap();
        queue.begin(1, || ready(Ok(()))).unwrap();
        while queue.shared.lock().ended.is_empty() {
            std::thread::yield_now();
        }
        let bell = queue.fd().unwrap();
        assert_eq!(poll(&mut [PollFd::from_borrowed_fd(bell, PollFlags::IN)], None).unwrap(), 1);
    }
}
