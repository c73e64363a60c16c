package io.github.fdfs;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A future that threads of the core do not wait for: what it waits for may need that very thread,
 * and would never come.
 */
class CallFuture<T> extends CompletableFuture<T> {
    /** Of what is chained to it, the same holds; Java 9 and later ask here. */
    public <U> CompletableFuture<U> newIncompleteFuture() {
        return new CallFuture<>();
    }

    @Override
    public T get() throws InterruptedException, ExecutionException {
        checkThread();
        return super.get();
    }

    @Override
    public T get(long timeout, TimeUnit unit)
            throws InterruptedException, ExecutionException, TimeoutException {
        checkThread();
        return super.get(timeout, unit);
    }

    @Override
    public T join() {
        checkThread();
        return super.join();
    }

    /**
     * Refuses to wait here.
     *
     * @throws FdfsInvalidArgumentException when this is a thread of the core and there is something
     *     to wait for
     */
    private void checkThread() {
        if (!isDone() && Native.onCoreThread()) {
            throw new FdfsInvalidArgumentException(
                    "a callback on a thread of the core must not wait: use the asynchronous client,"
                            + " or give the client an executor");
        }
    }
}
