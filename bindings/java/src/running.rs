//! Calls under way: the tasks that run them, one call after the other.

use crate::answer::Answer;
use crate::handles::lock;
use crate::ops::give;
use fdfs_core::Result;
use fdfs_core::client::{CaughtCall, runtime};
use jni::EnvUnowned;
use jni::jni_mangle;
use jni::objects::JClass;
use jni::sys::jlong;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::AbortHandle;

/// Whatever an operation does.
pub(crate) type Call = CaughtCall<Answer>;

/// Calls that were begun on one thread, by number: the tasks that run them; none for one whose task
/// is just being started.
type Tasks = BTreeMap<jlong, Option<AbortHandle>>;

/// A list of tasks in memory of its own: processors that share some wait for each other.
#[repr(align(128))]
struct List(Mutex<Tasks>);

/// Threads with a list of their own; more share them.
const LISTS: usize = 16;

static RUNNING: [List; LISTS] = [const { List(Mutex::new(Tasks::new())) }; LISTS];

/// Threads that have begun a call.
static THREADS: AtomicUsize = AtomicUsize::new(0);

impl List {
    fn of_another_thread() -> &'static Self {
        let thread = THREADS.fetch_add(1, Ordering::Relaxed);
        RUNNING.get(thread % LISTS).unwrap_or(&RUNNING[0])
    }
}

thread_local! {
    /// Where calls are listed that begin on this thread.
    static LIST: &'static List = List::of_another_thread();

    /// Whether a call that begins on this thread follows one that has just ended there.
    static NEXT: RefCell<Next> = const { RefCell::new(Next::Elsewhere) };
}

/// The next call of a task.
enum Next {
    /// This thread is not telling Java of an end: what it begins gets a task of its own.
    Elsewhere,
    /// Java is being told of an end by this task. It can run what Java begins meanwhile, and spares it
    /// the start of another.
    Wanted(AbortHandle),
    /// It will run this.
    Begun(Listed, Call),
}

/// A call that can be cancelled.
struct Listed {
    op: jlong,
    list: &'static List,
}

impl Listed {
    /// Lists a call that begins on this thread.
    fn new(op: jlong, task: Option<AbortHandle>) -> Self {
        let list = LIST.with(|list| *list);
        lock(&list.0).insert(op, task);
        Self { op, list }
    }

    /// Ends the listing: nothing cancels the call any more. Returns its task; none when that has been
    /// aborted, or will be as soon as whoever has started it finds that the call has ended.
    fn end(&self) -> Option<AbortHandle> {
        lock(&self.list.0).remove(&self.op).flatten()
    }
}

/// Whether this thread tells Java of an end, and waits for what Java begins.
pub(crate) fn is_next_wanted() -> bool {
    NEXT.with_borrow(|next| matches!(next, Next::Wanted(_)))
}

/// Runs a call to its end.
pub(crate) fn begin(op: jlong, call: Call) -> Result<()> {
    match NEXT.replace(Next::Elsewhere) {
        Next::Wanted(task) => NEXT.set(Next::Begun(Listed::new(op, Some(task)), call)),
        other => {
            NEXT.set(other);
            spawn(op, call)?;
        }
    }
    Ok(())
}

fn spawn(op: jlong, call: Call) -> Result<()> {
    // Listed before it can end, and not locked while it starts, which takes a while.
    let listed = Listed::new(op, None);
    let list = listed.list;
    let spawned = runtime::spawn(run(listed, call));
    let mut tasks = lock(&list.0);
    let task = spawned.inspect_err(|_| drop(tasks.remove(&op)))?;
    match tasks.get_mut(&op) {
        Some(running) => *running = Some(task.abort_handle()),
        // It has ended already, or it was cancelled.
        None => task.abort(),
    }
    Ok(())
}

/// Runs a call, and then what Java begins when it is told of the end.
async fn run(mut listed: Listed, mut call: Call) {
    loop {
        let outcome = (&mut call).await;
        drop(call);
        let task = listed.end();
        NEXT.set(task.map_or(Next::Elsewhere, Next::Wanted));
        give(listed.op, outcome);
        match NEXT.replace(Next::Elsewhere) {
            Next::Begun(next, begun) => (listed, call) = (next, begun),
            Next::Wanted(_) | Next::Elsewhere => return,
        }
    }
}

/// Ends an operation and closes its connection. One that has ended is left alone.
#[jni_mangle("io.github.fdfs.Native")]
pub fn cancel<'l>(_env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong) {
    for list in &RUNNING {
        let mut tasks = lock(&list.0);
        if let Some(task) = tasks.remove(&op) {
            // Locked, lest the task ends this call meanwhile and begins the next one.
            if let Some(task) = task {
                task.abort();
            }
            return;
        }
    }
}
