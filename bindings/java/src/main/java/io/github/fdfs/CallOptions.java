package io.github.fdfs;

import java.time.Duration;
import java.util.Objects;
import java.util.function.LongConsumer;

/** What one call is told. Immutable. */
public final class CallOptions {
    /** Nothing in particular. */
    public static final CallOptions NONE = new CallOptions(null, null);

    private final Duration timeout;
    private final LongConsumer progress;

    private CallOptions(Duration timeout, LongConsumer progress) {
        this.timeout = timeout;
        this.progress = progress;
    }

    /**
     * Bounds the time of the whole call.
     *
     * @param timeout more than zero; when it has passed, the call fails with {@link
     *     FdfsTimeoutException}
     * @return options with it
     * @throws FdfsInvalidArgumentException when it is not more than zero
     */
    public static CallOptions timeout(Duration timeout) {
        return NONE.withTimeout(timeout);
    }

    /**
     * Reports how much content has moved.
     *
     * @param progress gets the bytes moved so far; called on a thread of the core, or on the one
     *     that makes the call, so it must be quick and must not wait
     * @return options with it
     */
    public static CallOptions progress(LongConsumer progress) {
        return NONE.withProgress(progress);
    }

    /**
     * The same with another bound; see {@link #timeout}.
     *
     * @param timeout more than zero
     * @return options with it
     * @throws FdfsInvalidArgumentException when it is not more than zero
     */
    public CallOptions withTimeout(Duration timeout) {
        nanos(timeout, "timeout");
        return new CallOptions(timeout, progress);
    }

    /**
     * The same with another listener; see {@link #progress}.
     *
     * @param progress gets the bytes moved so far
     * @return options with it
     */
    public CallOptions withProgress(LongConsumer progress) {
        return new CallOptions(timeout, Objects.requireNonNull(progress, "progress"));
    }

    /** Nanoseconds as the native library wants them; negative for none. */
    long timeoutNanos() {
        return timeout == null ? -1 : nanos(timeout, "timeout");
    }

    LongConsumer progress() {
        return progress;
    }

    /** The nanoseconds of a positive time, as many as fit. */
    static long nanos(Duration time, String what) {
        if (time.isZero() || time.isNegative()) {
            throw new FdfsInvalidArgumentException(what + " " + time + ": must be more than zero");
        }
        try {
            return time.toNanos();
        } catch (ArithmeticException e) {
            return Long.MAX_VALUE;
        }
    }
}
