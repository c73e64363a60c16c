//! Operations: started by Java, run by the core, answered when they end.

use crate::answer::{self, Answer};
use crate::{java, running};
use fdfs_core::client::{Caught, caught, runtime};
use fdfs_core::{Error, ErrorKind, Result};
use jni::errors::ThrowRuntimeExAndDefault;
use jni::sys::jlong;
use jni::{Env, EnvUnowned};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;

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
        if !running::is_next_wanted()
            && let Poll::Ready(outcome) = first_step(&mut call)?
        {
            return outcome.map(Some);
        }
        running::begin(op, call.erased())?;
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
            give(op, caught(call));
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

/// Answers from a thread that Java has not called.
pub(crate) fn give(op: jlong, outcome: Result<Answer>) {
    let given = caught(|| match answer::give_quickly(op, outcome) {
        Some(outcome) => java::enter(|env| answer::give(env, op, outcome)).map_err(java::internal),
        None => Ok(()),
    });
    if let Err(error) = given {
        tracing::error!(%error, "an answer could not be given to Java");
    }
}
