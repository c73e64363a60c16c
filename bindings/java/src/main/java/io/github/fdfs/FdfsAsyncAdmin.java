package io.github.fdfs;

import java.util.concurrent.CompletableFuture;

/** Commands that change the cluster; asynchronous. */
public final class FdfsAsyncAdmin {
    private final Calls calls;

    FdfsAsyncAdmin(Calls calls) {
        this.calls = calls;
    }

    /**
     * Removes a storage that is offline, at every tracker. {@link FdfsBusyException} while it is
     * active.
     *
     * @param group the group of the storage
     * @param storage its id
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> deleteStorage(String group, String storage) {
        return calls.deleteStorage(group, storage);
    }

    /**
     * Removes an empty group, at every tracker.
     *
     * @param group a group without storages
     * @return a future that completes when it is done
     */
    public CompletableFuture<Void> deleteGroup(String group) {
        return calls.deleteGroup(group);
    }

    /**
     * Chooses the storage of a group that gives out space in trunk files.
     *
     * @param group the group
     * @param storage the id of the storage; null to have one chosen
     * @return a future of the id of the chosen storage
     */
    public CompletableFuture<String> setTrunkServer(String group, String storage) {
        return calls.setTrunkServer(group, storage);
    }
}
