package io.github.fdfs;

import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.LongConsumer;
import java.util.logging.Level;

/**
 * A call of the native library as a future. Whoever completes it from outside, by cancelling it or
 * by letting it time out, ends the call.
 */
final class Operation<T> extends CallFuture<T> {
    /** Makes a result of what the native library answers. */
    interface Answer<T> {
        T of(long count, Object value);
    }

    /** Starts a native function with an operation's number. */
    interface Start {
        void with(long number);
    }

    /** The class of virtual threads, where there are any. */
    private static final Class<?> VIRTUAL = virtual();

    /** Negative when the native function is to return only with the answer. */
    final long number;

    private final Answer<T> answer;
    private final Executor executor;

    /** Null when nobody listens any more. */
    private volatile LongConsumer progress;

    /** False when it has been forgotten for sure, and need not be looked for. */
    private boolean isKnown = true;

    /** What failed on this side, if that is why the call fails. */
    private volatile Throwable localCause;

    Operation(long number, Answer<T> answer, Executor executor, LongConsumer progress) {
        this.number = number;
        this.answer = answer;
        this.executor = executor;
        this.progress = progress;
    }

    /**
     * Starts a call.
     *
     * @param executor where to complete; null for the thread that brings the answer
     */
    static <T> Operation<T> start(
            Executor executor, LongConsumer progress, Answer<T> answer, Start start) {
        return start(Native.number(), executor, progress, answer, start);
    }

    /**
     * Starts a call that nobody but this thread waits for, with nothing else to do meanwhile: if it
     * can, the thread waits for the server itself instead of for another thread that does.
     */
    static <T> Operation<T> startHere(LongConsumer progress, Answer<T> answer, Start start) {
        long number = Native.number();
        return start(canWaitHere() ? -number : number, null, progress, answer, start);
    }

    /** A virtual thread would keep the thread that carries it. */
    private static boolean canWaitHere() {
        return !Thread.currentThread().isInterrupted()
                && (VIRTUAL == null || !VIRTUAL.isInstance(Thread.currentThread()))
                && !Native.onCoreThread();
    }

    private static Class<?> virtual() {
        try {
            return Class.forName("java.lang.BaseVirtualThread");
        } catch (ClassNotFoundException e) {
            return null;
        }
    }

    private static <T> Operation<T> start(
            long number,
            Executor executor,
            LongConsumer progress,
            Answer<T> answer,
            Start start) {
        Operation<T> operation = new Operation<>(number, answer, executor, progress);
        Native.remember(operation);
        try {
            start.with(operation.number);
        } catch (Throwable e) {
            Native.forget(operation);
            throw e;
        }
        return operation;
    }

    /** Starts a call that nobody but this thread waits for. */
    static <T> Operation<T> start(Answer<T> answer, Start start) {
        return start(null, null, answer, start);
    }

    void answered(long count, Object value) {
        isKnown = false;
        settle(
                () -> {
                    try {
                        complete(answer.of(count, value));
                    } catch (Throwable e) {
                        completeExceptionally(e);
                    }
                });
    }

    void failed(Failure failure) {
        RuntimeException exception = failure.toException(localCause);
        settle(() -> completeExceptionally(exception));
    }

    private void settle(Runnable settling) {
        if (executor == null) {
            settling.run();
            return;
        }
        try {
            executor.execute(settling);
        } catch (RejectedExecutionException e) {
            // Whoever waits must hear of it all the same.
            settling.run();
        }
    }

    void progressed(long moved) {
        LongConsumer listener = progress;
        try {
            if (listener != null) {
                listener.accept(moved);
            }
        } catch (Throwable e) {
            progress = null;
            FdfsLog.LOGGER.log(Level.WARNING, "a progress listener failed", e);
        }
    }

    /** Says why the call is about to fail. */
    void failsFor(Throwable cause) {
        localCause = cause;
    }

    @Override
    public boolean complete(T value) {
        end();
        return super.complete(value);
    }

    @Override
    public boolean completeExceptionally(Throwable exception) {
        end();
        return super.completeExceptionally(exception);
    }

    @Override
    public boolean cancel(boolean mayInterruptIfRunning) {
        end();
        return super.cancel(mayInterruptIfRunning);
    }

    /** Ends the native call; nothing to do when it is what has just been answered. */
    private void end() {
        if (isKnown && Native.forget(this)) {
            Native.cancel(number);
        }
    }

    /**
     * Waits for the result, as blocking calls do. An interrupted thread ends the call.
     *
     * @throws FdfsException what the call failed with, seen from this thread
     */
    T await() {
        try {
            return get();
        } catch (FdfsInvalidArgumentException e) {
            // It must not wait here, and nobody else will.
            cancel(true);
            throw e;
        } catch (InterruptedException e) {
            cancel(true);
            Thread.currentThread().interrupt();
            CancellationException cancelled = new CancellationException("interrupted");
            cancelled.initCause(e);
            throw cancelled;
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof FdfsException) {
                // It was made on a thread of the core; only this stack says who called.
                cause.setStackTrace(new Throwable().getStackTrace());
            }
            if (cause instanceof RuntimeException) {
                throw (RuntimeException) cause;
            }
            if (cause instanceof Error) {
                throw (Error) cause;
            }
            throw new IllegalStateException(cause);
        }
    }
}
