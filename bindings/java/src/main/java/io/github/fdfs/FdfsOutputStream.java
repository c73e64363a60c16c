package io.github.fdfs;

import java.io.OutputStream;

/**
 * A file that is written piece by piece: an appender file, to which pieces of 256 KiB are added.
 * {@link #close} completes it, and {@link #getFileId} tells its id then. Not for several threads at
 * the same time.
 *
 * <p>Methods throw {@link FdfsException}. After a write has failed, the file is given up: closing
 * deletes what was sent. Leave a {@code try} block early with {@link #abort}, because closing
 * completes whatever has been written.
 */
public final class FdfsOutputStream extends OutputStream {
    /** Keeps the client open as long as it is written to. */
    private final Session session;

    private final long number;
    private final Reaper.Held held;
    private final byte[] piece = new byte[Buffers.LENGTH];
    private int filled;
    private boolean failed;
    private boolean closed;
    private FileId fileId;

    FdfsOutputStream(Session session, long number) {
        this.session = session;
        this.number = number;
        held = Reaper.watch(this, number);
    }

    /**
     * The id of the whole file.
     *
     * @return its id, once it is complete
     * @throws FdfsClosedException while it is not, or when it was given up
     */
    public FileId getFileId() {
        if (fileId == null) {
            throw new FdfsClosedException("there is no file id: the file has not been completed");
        }
        return fileId;
    }

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
        if (offset < 0 || length < 0 || length > bytes.length - offset) {
            throw new IndexOutOfBoundsException();
        }
        check();
        int at = offset;
        int left = length;
        while (left > 0) {
            int fits = Math.min(left, piece.length - filled);
            System.arraycopy(bytes, at, piece, filled, fits);
            filled += fits;
            at += fits;
            left -= fits;
            if (filled == piece.length) {
                flush();
            }
        }
    }

    /** Sends what has been collected. */
    @Override
    public void flush() {
        check();
        if (filled > 0) {
            failed = true; // Until the opposite is known.
            Operation.Answer<Void> answer = (count, value) -> null;
            Operation.start(answer, op -> Native.write(op, number, piece, filled)).await();
            filled = 0;
            failed = false;
        }
    }

    /** Completes the file; the first time only. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (failed) {
            abort();
            return;
        }
        try {
            flush();
            Operation.Answer<FileId> answer = (count, value) -> FileId.of((String) value);
            fileId = Operation.start(answer, op -> Native.finish(op, number)).await();
        } finally {
            closed = true;
            held.release();
        }
    }

    /** Gives the file up and deletes what was sent. Afterwards, closing does nothing. */
    public void abort() {
        if (closed) {
            return;
        }
        closed = true;
        try {
            Operation.Answer<Void> answer = (count, value) -> null;
            Operation.start(answer, op -> Native.abort(op, number)).await();
        } finally {
            held.release();
        }
    }

    private void check() {
        if (closed) {
            throw new FdfsClosedException("the stream is closed");
        }
        if (failed) {
            throw new FdfsClosedException("an earlier write failed; begin a new file");
        }
    }
}
