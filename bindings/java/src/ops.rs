//! Operations: started by Java, run by the core, answered when they end.

use crate::answer::{self, Answer};
use crate::handles::lock;
use crate::java;
use fdfs_core::client::{Caught, caught, runtime};
use fdfs_core::{Error, ErrorKind, Result};
use jni::errors::ThrowRuntimeExAndDefault;
use jni::objects::JClass;
use jni::sys::jlong;
use jni::{Env, EnvUnowned, jni_mangle};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// What came of an operation.
type End = (jlong, Result<Answer>);

/// References to objects of Java that an answer needs; Java makes room for more.
const ANSWER_REFS: usize = 16;

/// Ends that Java will be told of by the task that the first of them has started; no more than there
/// were calls under way.
static ENDED: Mutex<Vec<End>> = Mutex::new(Vec::new());

/// Those under way, by number; none for one whose task is just being started.
static RUNNING: Mutex<BTreeMap<jlong, Option<AbortHandle>>> = Mutex::new(BTreeMap::new());

/// Starts an operation: `prepare` reads its arguments on the caller's thread, and the core runs
/// what it returns. Every failure is an answer.
pub(crate) fn start<'l, F>(
    env: EnvUnowned<'l>,
    op: jlong,
    prepare: impl FnOnce(&mut Env<'l>) -> Result<F>,
) where
    F: Future<Output = Result<Answer>> + Send + 'static,
{
    with_env(env, op, |env| {
        let mut call = Caught::new(prepare(env)?);
        // Not within another call, which keeps this thread from waiting for its sockets.
        if op < 0 && Handle::try_current().is_err() {
            return wait(env, call);
        }
        if let Poll::Ready(outcome) = first_step(&mut call)? {
            return outcome.map(Some);
        }
        // Listed before it can end, and not locked while it starts, which takes a while.
        lock(&RUNNING).insert(op, None);
        let spawned = runtime::spawn(async move {
            let outcome = call.await;
            let is_last = {
                let mut running = lock(&RUNNING);
                running.remove(&op);
                running.is_empty()
            };
            // With nothing else under way there is nothing to wait for.
            if is_last { give(vec![(op, outcome)]) } else { end_with_others((op, outcome)) }
        });
        let task = spawned.inspect_err(|_| drop(lock(&RUNNING).remove(&op)))?;
        match lock(&RUNNING).get_mut(&op) {
            Some(running) => *running = Some(task.abort_handle()),
            // It has ended already, or it was cancelled.
            None => task.abort(),
        }
        Ok(None)
    });
}

/// Runs a call to its end on the caller's thread. When that is interrupted, the call has no answer:
/// whoever waits for it finds out by himself.
fn wait(env: &mut Env<'_>, call: impl Future<Output = Result<Answer>>) -> Result<Option<Answer>> {
    let mut interrupted = false;
    let outcome = runtime::wait_unless(call, || {
        interrupted = java::is_interrupted(env);
        interrupted
    });
    if interrupted { Ok(None) } else { outcome.map(Some) }
}

/// Goes as far as possible without waiting: the request is on its way before another thread has been
/// woken up. Threads of the core are woken already, and a call that ended there at once could begin
/// the next one inside of this one, without end.
fn first_step<T>(call: &mut (impl Future<Output = Result<T>> + Unpin)) -> Result<Poll<Result<T>>> {
    if Handle::try_current().is_ok() {
        return Ok(Poll::Pending);
    }
    let runtime = runtime::handle()?;
    let _inside = runtime.enter();
    Ok(Pin::new(call).poll(&mut Context::from_waker(Waker::noop())))
}

/// Does at once what needs no waiting.
pub(crate) fn now<'l>(
    env: EnvUnowned<'l>,
    op: jlong,
    run: impl FnOnce(&mut Env<'l>) -> Result<Answer>,
) {
    with_env(env, op, |env| run(env).map(Some));
}

/// Runs what blocks on a thread of its own.
pub(crate) fn start_blocking<'l, F>(
    env: EnvUnowned<'l>,
    op: jlong,
    prepare: impl FnOnce(&mut Env<'l>) -> Result<F>,
) where
    F: FnOnce() -> Result<Answer> + Send + 'static,
{
    with_env(env, op, |env| {
        let call = prepare(env)?;
        let thread = std::thread::Builder::new().name("fdfs-blocking".into());
        let spawned = thread.spawn(move || {
            give(vec![(op, caught(call))]);
        });
        spawned.map(|_| None).map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot start a thread").with_source(error)
        })
    });
}

/// What native functions have in common: no panic leaves them, and errors become answers.
fn with_env<'l>(
    mut env: EnvUnowned<'l>,
    op: jlong,
    run: impl FnOnce(&mut Env<'l>) -> Result<Option<Answer>>,
) {
    let given = env.with_env(|env| -> java::JniResult<()> {
        let outcome = caught(|| run(env));
        match outcome.transpose() {
            Some(outcome) => answer::give(env, op, outcome),
            None => Ok(()),
        }
    });
    given.resolve::<ThrowRuntimeExAndDefault>();
}

/// Ends an operation on a thread of the core, together with all that end in the same turn of it: what
/// Java begins next is then sent in a row, and a server that has slept is woken once for all of it.
fn end_with_others(end: End) {
    let is_first = {
        let mut ended = lock(&ENDED);
        ended.push(end);
        ended.len() == 1
    };
    if is_first {
        // A task of its own: this one may still be aborted.
        tokio::spawn(async {
            tokio::task::yield_now().await;
            let ended = std::mem::take(&mut *lock(&ENDED));
            give(ended);
        });
    }
}

/// Answers from a thread of the core. Whatever happens to one answer, the others are given.
fn give(ended: Vec<End>) {
    let entered = java::enter(|env| {
        for (op, outcome) in ended {
            let given = caught(|| {
                env.with_local_frame(ANSWER_REFS, |env| answer::give(env, op, outcome))
                    .map_err(java::internal)
            });
            if let Err(error) = given {
                env.exception_clear();
                tracing::error!(%error, "an answer could not be given to Java");
            }
        }
        Ok(())
    });
    if let Err(error) = entered {
        tracing::error!(%error, "answers could not be given to Java");
    }
}

/// Ends an operation and closes its connection. One that has ended is left alone.
#[jni_mangle("io.github.fdfs.Native")]
pub fn cancel<'l>(_env: EnvUnowned<'l>, _class: JClass<'l>, op: jlong) {
    let task = lock(&RUNNING).remove(&op).flatten();
    if let Some(task) = task {
        task.abort();
    }
}
