package io.github.fdfs;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executor;

/** What is sent with a call: one of an array, a direct buffer, a local file or a stream. */
final class Body {
    final byte[] array;
    final ByteBuffer direct;
    final String path;
    final long feed;
    final int offset;

    /** Bytes; -1 when unknown. */
    final long length;

    private final InputStream stream;

    private Body(
            byte[] array, ByteBuffer direct, String path, int offset, long length, InputStream in) {
        this.array = array;
        this.direct = direct;
        this.path = path;
        this.offset = offset;
        this.length = length;
        stream = in;
        feed = in == null ? 0 : Native.number();
        if (in != null) {
            Native.feedOpen(feed);
        }
    }

    static Body of(byte[] data) {
        return new Body(data, null, null, 0, data.length, null);
    }

    /** From position to limit; neither changes. */
    static Body of(ByteBuffer data) {
        if (data.isDirect()) {
            return new Body(null, data, null, data.position(), data.remaining(), null);
        }
        if (data.hasArray()) {
            int offset = data.arrayOffset() + data.position();
            return new Body(data.array(), null, null, offset, data.remaining(), null);
        }
        byte[] copy = new byte[data.remaining()];
        data.duplicate().get(copy);
        return of(copy);
    }

    static Body of(Path path) {
        return new Body(null, null, path.toString(), 0, -1, null);
    }

    static Body of(InputStream in, long size) {
        if (size < -1) {
            throw new FdfsInvalidArgumentException("size " + size + ": -1 when it is unknown");
        }
        java.util.Objects.requireNonNull(in, "in");
        return new Body(null, null, null, 0, size, in);
    }

    /** Reads the stream, if it is one, on this thread, and waits for the result. */
    <T> T send(Operation<T> call) {
        pump(call);
        return call.await();
    }

    /** Reads the stream, if it is one, on another thread. */
    <T> Operation<T> sendOn(Executor executor, Operation<T> call) {
        if (stream != null) {
            executor.execute(
                    () -> {
                        try {
                            pump(call);
                        } catch (Throwable e) {
                            call.completeExceptionally(e);
                        }
                    });
        }
        return call;
    }

    /** Pushes pieces as the call takes them, until either has no more use for the other. */
    private void pump(Operation<?> call) {
        if (stream == null) {
            return;
        }
        byte[] piece = new byte[Buffers.LENGTH];
        try {
            while (!call.isDone()) {
                int length;
                try {
                    length = stream.read(piece);
                } catch (IOException e) {
                    call.failsFor(e);
                    end(String.valueOf(e.getMessage()));
                    return;
                }
                if (length < 0) {
                    end(null);
                    return;
                }
                if (length > 0 && !push(piece, length)) {
                    return;
                }
            }
        } catch (CancellationException e) {
            // This thread was interrupted.
            call.cancel(true);
            throw e;
        } catch (Throwable e) {
            call.completeExceptionally(e);
            throw e;
        } finally {
            Native.release(feed);
        }
    }

    /** Whether the call still reads. */
    private boolean push(byte[] piece, int length) {
        Operation.Answer<Boolean> answer = (count, value) -> count != 0;
        return Operation.start(answer, op -> Native.feedPush(op, feed, piece, length)).await();
    }

    private void end(String error) {
        Operation.Answer<Void> answer = (count, value) -> null;
        Operation.start(answer, op -> Native.feedEnd(op, feed, error)).await();
    }
}
