package io.github.fdfs;

import java.util.OptionalLong;

/** A group of storages. Immutable. */
public final class GroupInfo extends Value {
    private final String name;
    private final long totalMb;
    private final long freeMb;
    private final long reservedMb;
    private final long trunkFreeMb;
    private final int storageCount;
    private final int storagePort;
    private final int readableCount;
    private final int writableCount;
    private final int storePathCount;
    private final int subdirCountPerPath;
    private final Long currentTrunkFileId;

    GroupInfo(Fields fields) {
        name = fields.text();
        totalMb = fields.number();
        freeMb = fields.number();
        reservedMb = fields.number();
        trunkFreeMb = fields.number();
        storageCount = fields.count();
        storagePort = fields.count();
        readableCount = fields.count();
        writableCount = fields.count();
        storePathCount = fields.count();
        subdirCountPerPath = fields.count();
        currentTrunkFileId = fields.optionalNumber();
    }

    /**
     * The name.
     *
     * @return 1 to 16 letters and digits
     */
    public String getName() {
        return name;
    }

    /**
     * Space of its smallest storage.
     *
     * @return MiB
     */
    public long getTotalMb() {
        return totalMb;
    }

    /**
     * Free space of its fullest storage.
     *
     * @return MiB
     */
    public long getFreeMb() {
        return freeMb;
    }

    /**
     * Space that is kept free.
     *
     * @return MiB
     */
    public long getReservedMb() {
        return reservedMb;
    }

    /**
     * Free space within trunk files.
     *
     * @return MiB
     */
    public long getTrunkFreeMb() {
        return trunkFreeMb;
    }

    /**
     * Its storages.
     *
     * @return how many there are
     */
    public int getStorageCount() {
        return storageCount;
    }

    /**
     * The port of its storages.
     *
     * @return the port
     */
    public int getStoragePort() {
        return storagePort;
    }

    /**
     * Storages that can be read from.
     *
     * @return how many there are
     */
    public int getReadableCount() {
        return readableCount;
    }

    /**
     * Storages that can be written to.
     *
     * @return how many there are
     */
    public int getWritableCount() {
        return writableCount;
    }

    /**
     * Store paths of each storage.
     *
     * @return how many there are
     */
    public int getStorePathCount() {
        return storePathCount;
    }

    /**
     * Folders on each level of a store path.
     *
     * @return how many there are
     */
    public int getSubdirCountPerPath() {
        return subdirCountPerPath;
    }

    /**
     * The trunk file that is being filled.
     *
     * @return its number, when there is one
     */
    public OptionalLong getCurrentTrunkFileId() {
        return currentTrunkFileId == null
                ? OptionalLong.empty()
                : OptionalLong.of(currentTrunkFileId);
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "name", name,
            "totalMb", totalMb,
            "freeMb", freeMb,
            "reservedMb", reservedMb,
            "trunkFreeMb", trunkFreeMb,
            "storageCount", storageCount,
            "storagePort", storagePort,
            "readableCount", readableCount,
            "writableCount", writableCount,
            "storePathCount", storePathCount,
            "subdirCountPerPath", subdirCountPerPath,
            "currentTrunkFileId", currentTrunkFileId
        };
    }
}
