package io.github.fdfs;

/** Where a tracker sends an upload. Immutable. */
public final class UploadTarget extends Value {
    private final String group;
    private final ServerAddress server;
    private final int storePathIndex;

    UploadTarget(Fields fields) {
        group = fields.text();
        server = new ServerAddress(fields);
        storePathIndex = fields.count();
    }

    /**
     * The group.
     *
     * @return its name
     */
    public String getGroup() {
        return group;
    }

    /**
     * The storage.
     *
     * @return where it is
     */
    public ServerAddress getServer() {
        return server;
    }

    /**
     * The store path.
     *
     * @return its index, from 0 on
     */
    public int getStorePathIndex() {
        return storePathIndex;
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "group", group,
            "server", server,
            "storePathIndex", storePathIndex
        };
    }
}
