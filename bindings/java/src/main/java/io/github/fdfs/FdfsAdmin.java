package io.github.fdfs;

/** Commands that change the cluster. */
public final class FdfsAdmin {
    private final Calls calls;

    FdfsAdmin(Calls calls) {
        this.calls = calls;
    }

    /**
     * Removes a storage that is offline, at every tracker. {@link FdfsBusyException} while it is
     * active.
     *
     * @param group the group of the storage
     * @param storage its id
     */
    public void deleteStorage(String group, String storage) {
        calls.deleteStorage(group, storage).await();
    }

    /**
     * Removes an empty group, at every tracker.
     *
     * @param group a group without storages
     */
    public void deleteGroup(String group) {
        calls.deleteGroup(group).await();
    }

    /**
     * Chooses the storage of a group that gives out space in trunk files.
     *
     * @param group the group
     * @param storage the id of the storage; null to have one chosen
     * @return the id of the chosen storage
     */
    public String setTrunkServer(String group, String storage) {
        return calls.setTrunkServer(group, storage).await();
    }
}
