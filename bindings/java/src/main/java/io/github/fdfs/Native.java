package io.github.fdfs;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The functions of the native library, and what it calls back.
 *
 * <p>Each function starts the operation with the given number and returns; the answer comes to
 * {@link #complete} or {@link #fail}, from a thread of the core or, where nothing had to be waited
 * for or the number is negative, before the function returns. Clients, streams and clusters are
 * known by numbers of the same sequence; what an operation opened has the operation's number.
 */
final class Native {
    /** What the native library calls its threads. */
    private static final String CORE_THREAD = "fdfs-core";

    private static final AtomicLong NUMBERS = new AtomicLong();
    private static final Underway OPERATIONS = new Underway();

    static {
        NativeLibrary.load();
        logLevel(FdfsLog.levelNumber());
    }

    private Native() {}

    /** A number that nothing else has. */
    static long number() {
        return NUMBERS.incrementAndGet();
    }

    /** Makes an operation known, before it is started. */
    static void remember(Operation<?> operation) {
        OPERATIONS.put(operation);
    }

    /** Whether the operation was under way; its answer is unwanted from now on. */
    static boolean forget(Operation<?> operation) {
        return OPERATIONS.remove(operation.number) != null;
    }

    /** Whether this thread moves the bytes of all clients and must not wait for any of them. */
    static boolean onCoreThread() {
        return CORE_THREAD.equals(Thread.currentThread().getName());
    }

    // Called by the native library.

    static void complete(long number, long count, Object value) {
        Operation<?> operation = OPERATIONS.remove(number);
        if (operation != null) {
            operation.answered(count, value);
        } else {
            // Cancelled too late: what it opened would stay open.
            release(number);
        }
    }

    static void fail(
            long number,
            String kind,
            String message,
            String server,
            int command,
            String fileId,
            int errno,
            boolean retryable,
            boolean outcomeUnknown,
            String cause) {
        Operation<?> operation = OPERATIONS.remove(number);
        if (operation != null) {
            operation.failed(
                    new Failure(
                            ErrorKind.of(kind),
                            message,
                            server,
                            command,
                            fileId,
                            errno,
                            retryable,
                            outcomeUnknown,
                            cause));
        }
    }

    static void progress(long number, long moved) {
        Operation<?> operation = OPERATIONS.get(number);
        if (operation != null) {
            operation.progressed(moved);
        }
    }

    static boolean interrupted() {
        return Thread.currentThread().isInterrupted();
    }

    static void log(int level, String line) {
        FdfsLog.log(level, line);
    }

    // Without an answer.

    static native void release(long number);

    static native void cancel(long op);

    static native void feedOpen(long feed);

    static native void logLevel(int level);

    // Answered before they return.

    static native void about(long op);

    static native void connect(
            long op,
            String conf,
            String[] trackers,
            String group,
            String secret,
            String[] addressMap,
            long connectTimeout,
            long ioTimeout,
            long timeout,
            int poolSize,
            int retries);

    static native void poolStats(long op, long client);

    static native void httpUrl(
            long op, long client, String id, String base, String filename, long expires);

    static native void token(long op, String id, long unixSeconds, String secret);

    static native void parse(long op, String id);

    static native void slaveId(long op, String id, String prefix, String ext);

    // Calls of a client.

    static native void exists(long op, long client, long timeout, boolean progress, String id);

    static native void stat(long op, long client, long timeout, boolean progress, String id);

    static native void delete(long op, long client, long timeout, boolean progress, String id);

    static native void truncate(
            long op, long client, long timeout, boolean progress, String id, long size);

    static native void finalizeFile(
            long op, long client, long timeout, boolean progress, String id);

    static native void getMetadata(long op, long client, long timeout, boolean progress, String id);

    static native void setMetadata(
            long op,
            long client,
            long timeout,
            boolean progress,
            String id,
            String[] items,
            boolean merge);

    static native void listGroups(long op, long client, long timeout, boolean progress);

    static native void listStorages(
            long op, long client, long timeout, boolean progress, String group, String storage);

    static native void listTrackers(long op, long client, long timeout, boolean progress);

    static native void locate(
            long op, long client, long timeout, boolean progress, String id, boolean all);

    static native void pickUpload(
            long op, long client, long timeout, boolean progress, String group);

    static native void ping(long op, long client, long timeout, boolean progress);

    static native void deleteStorage(
            long op, long client, long timeout, boolean progress, String group, String storage);

    static native void deleteGroup(
            long op, long client, long timeout, boolean progress, String group);

    static native void setTrunkServer(
            long op, long client, long timeout, boolean progress, String group, String storage);

    // Calls of a client with bodies.

    static native void upload(
            long op,
            long client,
            long timeout,
            boolean progress,
            byte[] array,
            ByteBuffer buffer,
            String path,
            long feed,
            int offset,
            long length,
            String ext,
            String group,
            int storePath,
            boolean appender,
            String[] metadata);

    static native void uploadSlave(
            long op,
            long client,
            long timeout,
            boolean progress,
            byte[] array,
            ByteBuffer buffer,
            String path,
            long feed,
            int offset,
            long length,
            String master,
            String prefix,
            String ext,
            String[] metadata);

    static native void append(
            long op,
            long client,
            long timeout,
            boolean progress,
            byte[] array,
            ByteBuffer buffer,
            String path,
            long feed,
            int offset,
            long length,
            String id);

    static native void modify(
            long op,
            long client,
            long timeout,
            boolean progress,
            byte[] array,
            ByteBuffer buffer,
            String path,
            long feed,
            int offset,
            long length,
            String id,
            long position);

    static native void create(
            long op,
            long client,
            long timeout,
            boolean progress,
            String ext,
            String group,
            int storePath,
            boolean appender,
            String[] metadata);

    static native void download(
            long op,
            long client,
            long timeout,
            boolean progress,
            String id,
            long offset,
            long length);

    static native void downloadInto(
            long op,
            long client,
            long timeout,
            boolean progress,
            String id,
            long offset,
            ByteBuffer buffer,
            long position,
            long length);

    static native void downloadFile(
            long op,
            long client,
            long timeout,
            boolean progress,
            String id,
            long offset,
            long length,
            String path);

    static native void downloadPipe(
            long op,
            long client,
            long timeout,
            boolean progress,
            String id,
            long offset,
            long length,
            long pipe);

    static native void open(
            long op,
            long client,
            long timeout,
            boolean progress,
            String id,
            long offset,
            long length);

    // Streams and clusters.

    static native void feedPush(long op, long feed, byte[] piece, int length);

    static native void feedEnd(long op, long feed, String error);

    static native void read(long op, long content, ByteBuffer buffer, long length);

    static native void seek(long op, long content, long position);

    static native void write(long op, long writer, byte[] piece, int length);

    static native void finish(long op, long writer);

    static native void abort(long op, long writer);

    static native void clusterStart(long op, String dir, String[] groups);

    static native void clusterStop(long op, long cluster);
}
