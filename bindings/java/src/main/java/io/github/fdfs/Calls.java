package io.github.fdfs;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Every call of a client, once: both clients are made of these. */
final class Calls {
    /** Threads that read and write the streams of asynchronous calls; they go when idle. */
    static final Executor STREAMS =
            new ThreadPoolExecutor(
                    0,
                    Integer.MAX_VALUE,
                    5,
                    TimeUnit.SECONDS,
                    new SynchronousQueue<>(),
                    task -> {
                        Thread thread = new Thread(task, "fdfs-stream");
                        thread.setDaemon(true);
                        return thread;
                    });

    private static final Operation.Answer<Void> NOTHING = (count, value) -> null;
    private static final Operation.Answer<Long> COUNT = (count, value) -> count;
    private static final Operation.Answer<Boolean> FLAG = (count, value) -> count != 0;
    private static final Operation.Answer<FileId> ID = (count, value) -> FileId.of((String) value);

    private final Session session;

    /** Where calls complete; null for the threads of the core. */
    private final Executor executor;

    Calls(Session session, Executor executor) {
        this.session = session;
        this.executor = executor;
    }

    /** The length that an application asks for; the native library takes negative ones as none. */
    static long length(long length) {
        if (length < 0) {
            throw new FdfsInvalidArgumentException("length " + length + " is negative");
        }
        return length;
    }

    /** A native function with what all calls begin with. */
    private interface Call {
        void with(long op, long client, long timeout, boolean progress);
    }

    private <T> Operation<T> start(CallOptions options, Operation.Answer<T> answer, Call call) {
        if (executor != null) {
            return startElsewhere(options, answer, call);
        }
        return Operation.startHere(options.progress(), answer, begin(options, call));
    }

    /** A call that needs this thread for its body, or that others wait for. */
    private <T> Operation<T> startElsewhere(
            CallOptions options, Operation.Answer<T> answer, Call call) {
        return Operation.start(executor, options.progress(), answer, begin(options, call));
    }

    private <T> Operation<T> start(
            Body body, CallOptions options, Operation.Answer<T> answer, Call call) {
        return body.feed == 0
                ? start(options, answer, call)
                : startElsewhere(options, answer, call);
    }

    private Operation.Start begin(CallOptions options, Call call) {
        long timeout = options.timeoutNanos();
        boolean progress = options.progress() != null;
        return op -> call.with(op, session.number, timeout, progress);
    }

    Operation<FileId> upload(Body body, UploadOptions how, CallOptions options) {
        String[] items = UploadOptions.items(how.metadata);
        return start(
                body,
                options,
                ID,
                (op, client, timeout, progress) ->
                        Native.upload(
                                op,
                                client,
                                timeout,
                                progress,
                                body.array,
                                body.direct,
                                body.path,
                                body.feed,
                                body.offset,
                                body.length,
                                how.ext,
                                how.group,
                                how.storePathIndex,
                                how.appender,
                                items));
    }

    Operation<FileId> uploadSlave(
            FileId master, String prefix, Body body, UploadOptions how, CallOptions options) {
        String[] items = UploadOptions.items(how.metadata);
        String id = master.toString();
        return start(
                body,
                options,
                ID,
                (op, client, timeout, progress) ->
                        Native.uploadSlave(
                                op,
                                client,
                                timeout,
                                progress,
                                body.array,
                                body.direct,
                                body.path,
                                body.feed,
                                body.offset,
                                body.length,
                                id,
                                prefix,
                                how.ext,
                                items));
    }

    Operation<Void> append(FileId file, Body body, CallOptions options) {
        String id = file.toString();
        return start(
                body,
                options,
                NOTHING,
                (op, client, timeout, progress) ->
                        Native.append(
                                op,
                                client,
                                timeout,
                                progress,
                                body.array,
                                body.direct,
                                body.path,
                                body.feed,
                                body.offset,
                                body.length,
                                id));
    }

    Operation<Void> modify(FileId file, long offset, Body body, CallOptions options) {
        String id = file.toString();
        return start(
                body,
                options,
                NOTHING,
                (op, client, timeout, progress) ->
                        Native.modify(
                                op,
                                client,
                                timeout,
                                progress,
                                body.array,
                                body.direct,
                                body.path,
                                body.feed,
                                body.offset,
                                body.length,
                                id,
                                offset));
    }

    Operation<Void> truncate(FileId file, long size, CallOptions options) {
        String id = file.toString();
        return start(options, NOTHING, (op, c, t, p) -> Native.truncate(op, c, t, p, id, size));
    }

    Operation<FileId> finalizeFile(FileId file, CallOptions options) {
        String id = file.toString();
        return start(options, ID, (op, c, t, p) -> Native.finalizeFile(op, c, t, p, id));
    }

    Operation<FdfsOutputStream> create(UploadOptions how, CallOptions options) {
        String[] items = UploadOptions.items(how.metadata);
        long[] number = new long[1];
        return start(
                options,
                (count, value) -> new FdfsOutputStream(session, number[0]),
                (op, c, t, p) -> {
                    number[0] = op;
                    Native.create(
                            op,
                            c,
                            t,
                            p,
                            how.ext,
                            how.group,
                            how.storePathIndex,
                            how.appender,
                            items);
                });
    }

    Operation<byte[]> download(FileId file, long offset, long length, CallOptions options) {
        String id = file.toString();
        return start(
                options,
                (count, value) -> (byte[]) value,
                (op, c, t, p) -> Native.download(op, c, t, p, id, offset, length));
    }

    /** The position moves behind what has come, when it has come. */
    Operation<Integer> downloadInto(
            FileId file, ByteBuffer buffer, long offset, CallOptions options) {
        if (buffer.isReadOnly()) {
            throw new FdfsInvalidArgumentException("the buffer is read-only");
        }
        String id = file.toString();
        int start = buffer.position();
        int room = buffer.remaining();
        if (buffer.isDirect()) {
            return start(
                    options,
                    (count, value) -> {
                        buffer.position(start + (int) count);
                        return (int) count;
                    },
                    (op, c, t, p) ->
                            Native.downloadInto(op, c, t, p, id, offset, buffer, start, room));
        }
        return start(
                options,
                (count, value) -> {
                    byte[] content = (byte[]) value;
                    buffer.put(content);
                    return content.length;
                },
                (op, c, t, p) -> Native.download(op, c, t, p, id, offset, room));
    }

    Operation<Long> downloadTo(
            FileId file, Path path, long offset, long length, CallOptions options) {
        String id = file.toString();
        String name = path.toString();
        return start(
                options,
                COUNT,
                (op, c, t, p) -> Native.downloadFile(op, c, t, p, id, offset, length, name));
    }

    /** Downloads on this thread: pieces are fetched and written as the sink takes them. */
    long drain(
            FileId file, OutputStream out, long offset, long length, CallOptions options) {
        java.util.Objects.requireNonNull(out, "out");
        long pipe = Native.number();
        return drain(pipe(file, offset, length, pipe, options), pipe, out);
    }

    private Operation<Long> pipe(
            FileId file, long offset, long length, long pipe, CallOptions options) {
        String id = file.toString();
        return startElsewhere(
                options,
                COUNT,
                (op, c, t, p) -> Native.downloadPipe(op, c, t, p, id, offset, length, pipe));
    }

    private static long drain(Operation<Long> download, long pipe, OutputStream out) {
        byte[] piece = new byte[Buffers.LENGTH];
        ByteBuffer buffer = Buffers.take();
        boolean whole = false;
        try {
            for (int read; (read = FdfsInputStream.fetch(pipe, buffer)) > 0; ) {
                buffer.get(piece, 0, read);
                out.write(piece, 0, read);
            }
            whole = true;
        } catch (FdfsClosedException e) {
            // There is no pipe when the download could not begin: it says why.
            whole = download.isDone();
            if (!whole) {
                throw e;
            }
        } catch (IOException e) {
            throw new FdfsLocalIoException("writing the sink: " + e.getMessage(), e);
        } finally {
            Native.release(pipe);
            if (whole) {
                Buffers.give(buffer);
            } else {
                download.cancel(true);
            }
        }
        return download.await();
    }

    /** The same on another thread. */
    CompletableFuture<Long> drainLater(
            FileId file, OutputStream out, long offset, long length, CallOptions options) {
        java.util.Objects.requireNonNull(out, "out");
        long pipe = Native.number();
        Operation<Long> download = pipe(file, offset, length, pipe, options);
        CompletableFuture<Long> written =
                new CompletableFuture<Long>() {
                    @Override
                    public boolean cancel(boolean mayInterruptIfRunning) {
                        download.cancel(mayInterruptIfRunning);
                        return super.cancel(mayInterruptIfRunning);
                    }
                };
        STREAMS.execute(
                () -> {
                    try {
                        written.complete(drain(download, pipe, out));
                    } catch (Throwable e) {
                        written.completeExceptionally(e);
                    }
                });
        return written;
    }

    Operation<FdfsInputStream> open(FileId file, long offset, long length, CallOptions options) {
        String id = file.toString();
        long[] number = new long[1];
        return start(
                options,
                (count, value) -> new FdfsInputStream(session, number[0], count),
                (op, c, t, p) -> {
                    number[0] = op;
                    Native.open(op, c, t, p, id, offset, length);
                });
    }

    Operation<Boolean> delete(FileId file, CallOptions options) {
        String id = file.toString();
        return start(options, FLAG, (op, c, t, p) -> Native.delete(op, c, t, p, id));
    }

    Operation<Boolean> exists(FileId file, CallOptions options) {
        String id = file.toString();
        return start(options, FLAG, (op, c, t, p) -> Native.exists(op, c, t, p, id));
    }

    Operation<FileInfo> stat(FileId file, CallOptions options) {
        String id = file.toString();
        return start(
                options,
                (count, value) -> new FileInfo(new Fields(value)),
                (op, c, t, p) -> Native.stat(op, c, t, p, id));
    }

    Operation<Map<String, String>> getMetadata(FileId file, CallOptions options) {
        String id = file.toString();
        return start(
                options,
                (count, value) -> Fields.map(value),
                (op, c, t, p) -> Native.getMetadata(op, c, t, p, id));
    }

    Operation<Void> setMetadata(
            FileId file, Map<String, String> metadata, MetadataMode mode, CallOptions options) {
        String id = file.toString();
        String[] items = UploadOptions.items(metadata);
        boolean merge = mode == MetadataMode.MERGE;
        return start(
                options,
                NOTHING,
                (op, c, t, p) -> Native.setMetadata(op, c, t, p, id, items, merge));
    }

    Operation<List<GroupInfo>> listGroups(CallOptions options) {
        return start(
                options, (count, value) -> Fields.list(value, GroupInfo::new), Native::listGroups);
    }

    Operation<List<StorageInfo>> listStorages(String group, String storage, CallOptions options) {
        java.util.Objects.requireNonNull(group, "group");
        return start(
                options,
                (count, value) -> Fields.list(value, StorageInfo::new),
                (op, c, t, p) -> Native.listStorages(op, c, t, p, group, storage));
    }

    Operation<List<TrackerInfo>> listTrackers(CallOptions options) {
        return start(
                options,
                (count, value) -> Fields.list(value, TrackerInfo::new),
                Native::listTrackers);
    }

    Operation<List<ServerAddress>> locate(FileId file, boolean all, CallOptions options) {
        String id = file.toString();
        return start(
                options,
                (count, value) -> Fields.list(value, ServerAddress::new),
                (op, c, t, p) -> Native.locate(op, c, t, p, id, all));
    }

    Operation<UploadTarget> pickUpload(String group, CallOptions options) {
        return start(
                options,
                (count, value) -> new UploadTarget(new Fields(value)),
                (op, c, t, p) -> Native.pickUpload(op, c, t, p, group));
    }

    Operation<Void> ping(CallOptions options) {
        return start(options, NOTHING, Native::ping);
    }

    Operation<Void> deleteStorage(String group, String storage) {
        java.util.Objects.requireNonNull(group, "group");
        java.util.Objects.requireNonNull(storage, "storage");
        return start(
                CallOptions.NONE,
                NOTHING,
                (op, c, t, p) -> Native.deleteStorage(op, c, t, p, group, storage));
    }

    Operation<Void> deleteGroup(String group) {
        java.util.Objects.requireNonNull(group, "group");
        return start(
                CallOptions.NONE, NOTHING, (op, c, t, p) -> Native.deleteGroup(op, c, t, p, group));
    }

    Operation<String> setTrunkServer(String group, String storage) {
        java.util.Objects.requireNonNull(group, "group");
        return start(
                CallOptions.NONE,
                (count, value) -> (String) value,
                (op, c, t, p) -> Native.setTrunkServer(op, c, t, p, group, storage));
    }
}
