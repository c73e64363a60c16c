package io.github.fdfs;

import java.io.InputStream;
import java.nio.ByteBuffer;

/**
 * A file, or a part of one, that is read piece by piece; positions count from the part's first
 * byte. Memory does not grow with the file: pieces of 256 KiB. Closing it before its end closes its
 * connection. Not for several threads at the same time.
 *
 * <p>Methods throw {@link FdfsException} when the file cannot be read; after that, only {@link
 * #seek} makes another attempt.
 */
public final class FdfsInputStream extends InputStream {
    /** Keeps the client open as long as it is read from. */
    private final Session session;

    private final long number;
    private final long length;
    private final Reaper.Held held;

    /** What has been fetched and not been read; null when closed. */
    private ByteBuffer buffer = Buffers.take();

    /** The place in the part of the first byte that has not been fetched. */
    private long fetched;

    FdfsInputStream(Session session, long number, long length) {
        this.session = session;
        this.number = number;
        this.length = length;
        held = Reaper.watch(this, number);
        buffer.limit(0);
    }

    /**
     * The length of the part.
     *
     * @return bytes
     */
    public long length() {
        return length;
    }

    /**
     * The place of the next byte.
     *
     * @return bytes from the beginning of the part
     */
    public long position() {
        return fetched - (buffer == null ? 0 : buffer.remaining());
    }

    /**
     * Continues elsewhere, with a new request unless the place has been fetched already.
     *
     * @param position bytes from the beginning of the part; behind its end there are none
     * @throws FdfsInvalidArgumentException when it is negative
     */
    public void seek(long position) {
        check();
        long within = position - (fetched - buffer.limit());
        if (position >= 0 && within >= 0 && within <= buffer.limit()) {
            buffer.position((int) within);
            return;
        }
        Operation.Answer<Long> answer = (count, value) -> count;
        fetched = Operation.start(answer, op -> Native.seek(op, number, position)).await();
        buffer.limit(0);
    }

    @Override
    public int read() {
        return fill() ? buffer.get() & 0xff : -1;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) {
        if (offset < 0 || length < 0 || length > bytes.length - offset) {
            throw new IndexOutOfBoundsException();
        }
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int read = Math.min(length, buffer.remaining());
        buffer.get(bytes, offset, read);
        return read;
    }

    @Override
    public long skip(long count) {
        check();
        long skipped = Math.max(0, Math.min(count, length - position()));
        seek(position() + skipped);
        return skipped;
    }

    @Override
    public int available() {
        check();
        return buffer.remaining();
    }

    @Override
    public void close() {
        if (buffer != null) {
            held.release();
            Buffers.give(buffer);
            buffer = null;
        }
    }

    private void check() {
        if (buffer == null) {
            throw new FdfsClosedException("the stream is closed");
        }
    }

    /** Whether there are bytes in the buffer, now. */
    private boolean fill() {
        check();
        if (!buffer.hasRemaining()) {
            boolean done = false;
            try {
                fetched += fetch(number, buffer);
                done = true;
            } finally {
                if (!done) {
                    // A call that was given up may still write into the old one.
                    buffer = Buffers.take();
                    buffer.limit(0);
                }
            }
        }
        return buffer.hasRemaining();
    }

    /** Fills a buffer from what can be read under this number; how many bytes there were. */
    static int fetch(long number, ByteBuffer buffer) {
        Operation.Answer<Integer> answer = (count, value) -> (int) count;
        buffer.clear();
        int read =
                Operation.start(answer, op -> Native.read(op, number, buffer, Buffers.LENGTH))
                        .await();
        buffer.limit(read);
        return read;
    }
}
