package io.github.fdfs;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * The asynchronous calls of a client; see {@link FdfsClient#async}. Safe to share between threads.
 *
 * <p>Each call returns at once. Its future completes on the client's executor, exceptionally with a
 * {@link FdfsException} when the call fails. Cancelling the future, or letting it time out, ends
 * the call and closes its connection; futures derived from it do not. Streams are read and written
 * on threads of their own. Buffers and arrays must be left alone until the call has ended; a call
 * that was cancelled may touch a direct buffer for a moment longer.
 */
public final class FdfsAsyncClient extends AsyncTransfers {
    FdfsAsyncClient(Calls calls) {
        super(calls);
    }

    /**
     * Commands that change the cluster.
     *
     * @return the commands
     */
    public FdfsAsyncAdmin admin() {
        return new FdfsAsyncAdmin(calls);
    }

    /**
     * Sets the size of an appender file.
     *
     * @param id an appender file
     * @param size its new size; a larger one adds zero bytes
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> truncate(FileId id, long size) {
        return truncate(id, size, CallOptions.NONE);
    }

    /**
     * Sets the size of an appender file, with options for this call.
     *
     * @param id an appender file
     * @param size its new size; a larger one adds zero bytes
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> truncate(FileId id, long size, CallOptions options) {
        return calls.truncate(id, size, options);
    }

    /**
     * Turns an appender file into a normal one. Its metadata stays behind under the old name: set
     * it again.
     *
     * @param id an appender file; this id is gone afterwards
     * @return a future of its new id
     */
    public CompletableFuture<FileId> finalizeFile(FileId id) {
        return finalizeFile(id, CallOptions.NONE);
    }

    /**
     * Turns an appender file into a normal one, with options for this call.
     *
     * @param id an appender file; this id is gone afterwards
     * @param options timeout and progress of this call
     * @return a future of its new id
     */
    public CompletableFuture<FileId> finalizeFile(FileId id, CallOptions options) {
        return calls.finalizeFile(id, options);
    }

    /**
     * Deletes a file.
     *
     * @param id the file
     * @return a future of whether there was one
     */
    public CompletableFuture<Boolean> delete(FileId id) {
        return delete(id, CallOptions.NONE);
    }

    /**
     * Deletes a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of whether there was one
     */
    public CompletableFuture<Boolean> delete(FileId id, CallOptions options) {
        return calls.delete(id, options);
    }

    /**
     * Asks whether a file is there.
     *
     * @param id the file
     * @return a future of true when it is
     */
    public CompletableFuture<Boolean> exists(FileId id) {
        return exists(id, CallOptions.NONE);
    }

    /**
     * Asks whether a file is there, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of true when it is
     */
    public CompletableFuture<Boolean> exists(FileId id, CallOptions options) {
        return calls.exists(id, options);
    }

    /**
     * Asks what a storage knows of a file.
     *
     * @param id the file
     * @return a future of size, time and CRC-32
     */
    public CompletableFuture<FileInfo> stat(FileId id) {
        return stat(id, CallOptions.NONE);
    }

    /**
     * Asks what a storage knows of a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of size, time and CRC-32
     */
    public CompletableFuture<FileInfo> stat(FileId id, CallOptions options) {
        return calls.stat(id, options);
    }

    /**
     * Reads the metadata of a file.
     *
     * @param id the file
     * @return a future of names and values, by name; empty when there are none
     */
    public CompletableFuture<Map<String, String>> getMetadata(FileId id) {
        return getMetadata(id, CallOptions.NONE);
    }

    /**
     * Reads the metadata of a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of names and values, by name; empty when there are none
     */
    public CompletableFuture<Map<String, String>> getMetadata(FileId id, CallOptions options) {
        return calls.getMetadata(id, options);
    }

    /**
     * Sets the metadata of a file.
     *
     * @param id the file
     * @param metadata names of up to 64 and values of up to 256 bytes of UTF-8
     * @param mode what happens to metadata that is there already
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> setMetadata(
            FileId id, Map<String, String> metadata, MetadataMode mode) {
        return setMetadata(id, metadata, mode, CallOptions.NONE);
    }

    /**
     * Sets the metadata of a file, with options for this call.
     *
     * @param id the file
     * @param metadata names of up to 64 and values of up to 256 bytes of UTF-8
     * @param mode what happens to metadata that is there already
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> setMetadata(
            FileId id, Map<String, String> metadata, MetadataMode mode, CallOptions options) {
        return calls.setMetadata(id, metadata, mode, options);
    }

    /**
     * Lists the groups.
     *
     * @return a future of all groups
     */
    public CompletableFuture<List<GroupInfo>> listGroups() {
        return listGroups(CallOptions.NONE);
    }

    /**
     * Lists the groups, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return a future of all groups
     */
    public CompletableFuture<List<GroupInfo>> listGroups(CallOptions options) {
        return calls.listGroups(options);
    }

    /**
     * Lists the storages of a group.
     *
     * @param group its name
     * @return a future of all its storages
     */
    public CompletableFuture<List<StorageInfo>> listStorages(String group) {
        return listStorages(group, CallOptions.NONE);
    }

    /**
     * Lists the storages of a group, with options for this call.
     *
     * @param group its name
     * @param options timeout and progress of this call
     * @return a future of all its storages
     */
    public CompletableFuture<List<StorageInfo>> listStorages(String group, CallOptions options) {
        return calls.listStorages(group, null, options);
    }

    /**
     * Lists one storage of a group.
     *
     * @param group its name
     * @param storage the id of a storage
     * @return a future of that storage
     */
    public CompletableFuture<List<StorageInfo>> listStorages(String group, String storage) {
        return listStorages(group, storage, CallOptions.NONE);
    }

    /**
     * Lists one storage of a group, with options for this call.
     *
     * @param group its name
     * @param storage the id of a storage
     * @param options timeout and progress of this call
     * @return a future of that storage
     */
    public CompletableFuture<List<StorageInfo>> listStorages(
            String group, String storage, CallOptions options) {
        return calls.listStorages(group, storage, options);
    }

    /**
     * Asks each configured tracker whether it is there.
     *
     * @return a future of all of them, in the order of the configuration
     */
    public CompletableFuture<List<TrackerInfo>> listTrackers() {
        return listTrackers(CallOptions.NONE);
    }

    /**
     * Asks each configured tracker whether it is there, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return a future of all of them, in the order of the configuration
     */
    public CompletableFuture<List<TrackerInfo>> listTrackers(CallOptions options) {
        return calls.listTrackers(options);
    }

    /**
     * Asks for a storage that holds a file.
     *
     * @param id the file
     * @return a future of one storage
     */
    public CompletableFuture<List<ServerAddress>> locate(FileId id) {
        return locate(id, CallOptions.NONE);
    }

    /**
     * Asks for a storage that holds a file, with options for this call.
     *
     * @param id the file
     * @param options timeout and progress of this call
     * @return a future of one storage
     */
    public CompletableFuture<List<ServerAddress>> locate(FileId id, CallOptions options) {
        return calls.locate(id, false, options);
    }

    /**
     * Asks for the storages that hold a file.
     *
     * @param id the file
     * @param all whether to name all of them
     * @return a future of one storage, or all
     */
    public CompletableFuture<List<ServerAddress>> locate(FileId id, boolean all) {
        return locate(id, all, CallOptions.NONE);
    }

    /**
     * Asks for the storages that hold a file, with options for this call.
     *
     * @param id the file
     * @param all whether to name all of them
     * @param options timeout and progress of this call
     * @return a future of one storage, or all
     */
    public CompletableFuture<List<ServerAddress>> locate(
            FileId id, boolean all, CallOptions options) {
        return calls.locate(id, all, options);
    }

    /**
     * Asks where an upload would go.
     *
     * @return a future of group, storage and store path
     */
    public CompletableFuture<UploadTarget> pickUpload() {
        return pickUpload(CallOptions.NONE);
    }

    /**
     * Asks where an upload would go, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return a future of group, storage and store path
     */
    public CompletableFuture<UploadTarget> pickUpload(CallOptions options) {
        return calls.pickUpload(null, options);
    }

    /**
     * Asks where an upload to a group would go.
     *
     * @param group its name
     * @return a future of group, storage and store path
     */
    public CompletableFuture<UploadTarget> pickUpload(String group) {
        return pickUpload(group, CallOptions.NONE);
    }

    /**
     * Asks where an upload to a group would go, with options for this call.
     *
     * @param group its name
     * @param options timeout and progress of this call
     * @return a future of group, storage and store path
     */
    public CompletableFuture<UploadTarget> pickUpload(String group, CallOptions options) {
        return calls.pickUpload(group, options);
    }

    /**
     * Asks a tracker for a sign of life.
     *
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> ping() {
        return ping(CallOptions.NONE);
    }

    /**
     * Asks a tracker for a sign of life, with options for this call.
     *
     * @param options timeout and progress of this call
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> ping(CallOptions options) {
        return calls.ping(options);
    }
}
