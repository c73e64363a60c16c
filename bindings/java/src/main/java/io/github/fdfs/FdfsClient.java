package io.github.fdfs;

import java.net.URI;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;

/**
 * A client of one FastDFS cluster. Its calls wait for their answers; {@link #async} has the same
 * calls as futures. Safe to share between threads: make one, use it everywhere, close it at the
 * end.
 *
 * <p>Calls fail with a subclass of {@link FdfsException} for each kind of error. Interrupting a
 * thread that waits ends its call with {@link java.util.concurrent.CancellationException}, and the
 * thread stays interrupted. Callbacks on threads of the core must not make blocking calls; they are
 * refused with {@link FdfsInvalidArgumentException}.
 *
 * <pre>{@code
 * try (FdfsClient client = FdfsClient.builder().trackers("10.0.0.1:22122").build()) {
 *     FileId id = client.upload(Paths.get("photo.jpg"), UploadOptions.NONE);
 *     client.downloadTo(id, Paths.get("copy.jpg"));
 * }
 * }</pre>
 */
public final class FdfsClient extends SyncTransfers implements AutoCloseable {
    private final Session session;
    private final FdfsAsyncClient async;

    FdfsClient(Session session, Executor executor) {
        super(new Calls(session, null));
        this.session = session;
        Executor completing = executor == null ? ForkJoinPool.commonPool() : executor;
        async = new FdfsAsyncClient(new Calls(session, completing));
    }

    /**
     * Begins a client.
     *
     * @return a builder with all defaults; trackers must be named
     */
    public static FdfsClientBuilder builder() {
        return new FdfsClientBuilder();
    }

    /**
     * Makes a client as a {@code client.conf} says; see {@link FdfsClientBuilder#conf}.
     *
     * @param conf the file
     * @return the client
     * @throws FdfsConfigException when it is not there or wrong
     */
    public static FdfsClient fromConf(Path conf) {
        return builder().conf(conf).build();
    }

    /**
     * The version of the core.
     *
     * @return such as {@code 0.1.0}
     */
    public static String version() {
        Operation.Answer<String> answer = (count, value) -> ((String[]) value)[0];
        return Operation.start(answer, Native::about).await();
    }

    /**
     * The same calls as futures.
     *
     * @return the asynchronous client; it is closed with this one
     */
    public FdfsAsyncClient async() {
        return async;
    }

    /**
     * Commands that change the cluster.
     *
     * @return the commands
     */
    public FdfsAdmin admin() {
        return new FdfsAdmin(calls);
    }

    /**
     * Closes all connections. Calls from now on fail with {@link FdfsClosedException}; those under
     * way end as they would. Closing again does nothing.
     */
    @Override
    public void close() {
        session.close();
    }

    /**
     * What the connection pool did.
     *
     * @return counts for each server; asks none
     * @throws FdfsClosedException after {@link #close}
     */
    public List<PoolStats> poolStats() {
        Operation.Answer<List<PoolStats>> answer =
                (count, value) -> Fields.list(value, PoolStats::new);
        return Operation.start(answer, op -> Native.poolStats(op, session.number)).await();
    }

    /**
     * The URL of a file behind a web front, with a token when the client has a secret. Asks no
     * server.
     *
     * @param id the file
     * @param base the front, such as {@code https://files.example/}
     * @return the URL
     */
    public URI httpUrl(FileId id, String base) {
        return httpUrl(id, base, null, null);
    }

    /**
     * The URL of a file behind a web front, with a token when the client has a secret. Asks no
     * server.
     *
     * @param id the file
     * @param base the front, such as {@code https://files.example/}
     * @param filename the name that browsers save it under; null for none
     * @param expires the moment in the token: the front refuses it once its own {@code token_ttl}
     *     has passed since then; null for now
     * @return the URL
     */
    public URI httpUrl(FileId id, String base, String filename, Instant expires) {
        String text = id.toString();
        long moment = expires == null ? -1 : expires.getEpochSecond();
        Operation.Answer<URI> answer = (count, value) -> URI.create((String) value);
        Operation.Start start =
                op -> Native.httpUrl(op, session.number, text, base, filename, moment);
        return Operation.start(answer, start).await();
    }

    /**
     * Sets the size of an appender file.
     *
     * @param id an appender file
     * @param size its new size; a larger one adds zero bytes
     */
    public void truncate(FileId id, long size) {
        truncate(id, size, CallOptions.NONE);
    }

    /**
     * Sets the size of an appender file, with options for this call.
     *
     * @param id an appender file
     * @param size its new size; a larger one adds zero bytes
     * @param options timeout and progress of this call
     */
    public void truncate(FileId id, long size, CallOptions options) {
        calls.truncate(id, size, options).await();
    }

    /**
     * Turns an appender file into a normal one. Its metadata stays behind under the old name: set
     * it again.
     *
     * @param id an appender file; this id is gone afterwards
     * @return its new id
     */
    public FileId finalizeFile(FileId id) {
        return finalizeFile(id, CallOptions.NONE);
    }

    /**
     * Turns an appender file into a normal one, with options for this call.
     *
     * @param id an appender file; this id is gone afterwards
     * @param options timeout and progress of this call
     * @return its new id
     */
    public FileId finalizeFile(FileId id, CallOptions options) {
        return calls.finalizeFile(id, options).await();
    }

    /**
     * Deletes a file.
     *
     * @param id the file
     * @return whether there was one
     */
    public boolean delete(FileId id) {
        return delete(id, CallOptions.NONE);
    }

    /**
     * Deletes a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return whether there was one
     */
    public boolean delete(FileId id, CallOptions options) {
        return calls.delete(id, options).await();
    }

    /**
     * Asks whether a file is there.
     *
     * @param id the file
     * @return true when it is
     */
    public boolean exists(FileId id) {
        return exists(id, CallOptions.NONE);
    }

    /**
     * Asks whether a file is there, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return true when it is
     */
    public boolean exists(FileId id, CallOptions options) {
        return calls.exists(id, options).await();
    }

    /**
     * Asks what a storage knows of a file.
     *
     * @param id the file
     * @return size, time and CRC-32
     */
    public FileInfo stat(FileId id) {
        return stat(id, CallOptions.NONE);
    }

    /**
     * Asks what a storage knows of a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return size, time and CRC-32
     */
    public FileInfo stat(FileId id, CallOptions options) {
        return calls.stat(id, options).await();
    }

    /**
     * Reads the metadata of a file.
     *
     * @param id the file
     * @return names and values, by name; empty when there are none
     */
    public Map<String, String> getMetadata(FileId id) {
        return getMetadata(id, CallOptions.NONE);
    }

    /**
     * Reads the metadata of a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return names and values, by name; empty when there are none
     */
    public Map<String, String> getMetadata(FileId id, CallOptions options) {
        return calls.getMetadata(id, options).await();
    }

    /**
     * Sets the metadata of a file.
     *
     * @param id the file
     * @param metadata names of up to 64 and values of up to 256 bytes of UTF-8
     * @param mode what happens to metadata that is there already
     */
    public void setMetadata(FileId id, Map<String, String> metadata, MetadataMode mode) {
        setMetadata(id, metadata, mode, CallOptions.NONE);
    }

    /**
     * Sets the metadata of a file, with options for this call.
     *
     * @param id the file
     * @param metadata names of up to 64 and values of up to 256 bytes of UTF-8
     * @param mode what happens to metadata that is there already
     * @param options timeout and progress of this call
     */
    public void setMetadata(
            FileId id, Map<String, String> metadata, MetadataMode mode, CallOptions options) {
        calls.setMetadata(id, metadata, mode, options).await();
    }

    /**
     * Lists the groups.
     *
     * @return all groups
     */
    public List<GroupInfo> listGroups() {
        return listGroups(CallOptions.NONE);
    }

    /**
     * Lists the groups, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return all groups
     */
    public List<GroupInfo> listGroups(CallOptions options) {
        return calls.listGroups(options).await();
    }

    /**
     * Lists the storages of a group.
     *
     * @param group its name
     * @return all its storages
     */
    public List<StorageInfo> listStorages(String group) {
        return listStorages(group, CallOptions.NONE);
    }

    /**
     * Lists the storages of a group, with options for this call.
     *
     * @param group its name
     * @param options timeout and progress of this call
     * @return all its storages
     */
    public List<StorageInfo> listStorages(String group, CallOptions options) {
        return calls.listStorages(group, null, options).await();
    }

    /**
     * Lists one storage of a group.
     *
     * @param group its name
     * @param storage the id of a storage
     * @return that storage
     */
    public List<StorageInfo> listStorages(String group, String storage) {
        return listStorages(group, storage, CallOptions.NONE);
    }

    /**
     * Lists one storage of a group, with options for this call.
     *
     * @param group its name
     * @param storage the id of a storage
     * @param options timeout and progress of this call
     * @return that storage
     */
    public List<StorageInfo> listStorages(String group, String storage, CallOptions options) {
        return calls.listStorages(group, storage, options).await();
    }

    /**
     * Asks each configured tracker whether it is there.
     *
     * @return all of them, in the order of the configuration
     */
    public List<TrackerInfo> listTrackers() {
        return listTrackers(CallOptions.NONE);
    }

    /**
     * Asks each configured tracker whether it is there, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return all of them, in the order of the configuration
     */
    public List<TrackerInfo> listTrackers(CallOptions options) {
        return calls.listTrackers(options).await();
    }

    /**
     * Asks for a storage that holds a file.
     *
     * @param id the file
     * @return one storage
     */
    public List<ServerAddress> locate(FileId id) {
        return locate(id, CallOptions.NONE);
    }

    /**
     * Asks for a storage that holds a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return one storage
     */
    public List<ServerAddress> locate(FileId id, CallOptions options) {
        return calls.locate(id, false, options).await();
    }

    /**
     * Asks for the storages that hold a file.
     *
     * @param id the file
     * @param all whether to name all of them
     * @return one storage, or all
     */
    public List<ServerAddress> locate(FileId id, boolean all) {
        return locate(id, all, CallOptions.NONE);
    }

    /**
     * Asks for the storages that hold a file, with options for this call.
     *
     * @param id the file
     * @param all whether to name all of them
     * @param options timeout and progress of this call
     * @return one storage, or all
     */
    public List<ServerAddress> locate(FileId id, boolean all, CallOptions options) {
        return calls.locate(id, all, options).await();
    }

    /**
     * Asks where an upload would go.
     *
     * @return group, storage and store path
     */
    public UploadTarget pickUpload() {
        return pickUpload(CallOptions.NONE);
    }

    /**
     * Asks where an upload would go, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return group, storage and store path
     */
    public UploadTarget pickUpload(CallOptions options) {
        return calls.pickUpload(null, options).await();
    }

    /**
     * Asks where an upload to a group would go.
     *
     * @param group its name
     * @return group, storage and store path
     */
    public UploadTarget pickUpload(String group) {
        return pickUpload(group, CallOptions.NONE);
    }

    /**
     * Asks where an upload to a group would go, with options for this call.
     *
     * @param group its name
     * @param options timeout and progress of this call
     * @return group, storage and store path
     */
    public UploadTarget pickUpload(String group, CallOptions options) {
        return calls.pickUpload(group, options).await();
    }

    /**
     * Asks a tracker for a sign of life.
     */
    public void ping() {
        ping(CallOptions.NONE);
    }

    /**
     * Asks a tracker for a sign of life, with options for this call.
     *
     * @param options timeout and progress of this call
     */
    public void ping(CallOptions options) {
        calls.ping(options).await();
    }
}
