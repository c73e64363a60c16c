package io.github.fdfs;

import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** A storage as the tracker knows it. Immutable. */
public final class StorageInfo extends Value {
    private final String id;
    private final ServerAddress address;
    private final String status;
    private final String version;
    private final Instant joined;
    private final long totalMb;
    private final long freeMb;
    private final long reservedMb;
    private final int uploadPriority;
    private final int storePathCount;
    private final int subdirCountPerPath;
    private final int currentWritePath;
    private final boolean trunkServer;
    private final Instant upSince;
    private final String syncSource;
    private final Map<String, Long> statistics;

    StorageInfo(Fields fields) {
        id = fields.text();
        address = new ServerAddress(fields);
        status = fields.text();
        version = fields.text();
        joined = fields.time();
        totalMb = fields.number();
        freeMb = fields.number();
        reservedMb = fields.number();
        uploadPriority = fields.count();
        storePathCount = fields.count();
        subdirCountPerPath = fields.count();
        currentWritePath = fields.count();
        trunkServer = fields.flag();
        upSince = fields.optionalTime();
        syncSource = fields.text();
        statistics = statistics(fields.text());
    }

    /** Reads {@code name=value} pairs with spaces between them. */
    private static Map<String, Long> statistics(String text) {
        Map<String, Long> statistics = new LinkedHashMap<>();
        for (String pair : text.split(" ")) {
            int equals = pair.indexOf('=');
            Long value = Long.valueOf(pair.substring(equals + 1));
            statistics.put(pair.substring(0, equals), value);
        }
        return Collections.unmodifiableMap(statistics);
    }

    /**
     * Its id.
     *
     * @return an address, or a number in clusters with ids
     */
    public String getId() {
        return id;
    }

    /**
     * Where it is.
     *
     * @return as it has told the tracker
     */
    public ServerAddress getAddress() {
        return address;
    }

    /**
     * Its state.
     *
     * @return such as {@code ACTIVE} or {@code OFFLINE}
     */
    public String getStatus() {
        return status;
    }

    /**
     * The version of its software.
     *
     * @return such as {@code 6.16.1}
     */
    public String getVersion() {
        return version;
    }

    /**
     * When it joined the cluster first.
     *
     * @return the moment, to the second
     */
    public Instant getJoined() {
        return joined;
    }

    /**
     * Its space.
     *
     * @return MiB
     */
    public long getTotalMb() {
        return totalMb;
    }

    /**
     * Its free space.
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
     * Its rank when the tracker chooses by priority.
     *
     * @return smaller is preferred
     */
    public int getUploadPriority() {
        return uploadPriority;
    }

    /**
     * Its store paths.
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
     * The store path in turn for uploads.
     *
     * @return its index, from 0 on
     */
    public int getCurrentWritePath() {
        return currentWritePath;
    }

    /**
     * Whether it gives out space in trunk files for its group.
     *
     * @return true when it does
     */
    public boolean isTrunkServer() {
        return trunkServer;
    }

    /**
     * When it was started last.
     *
     * @return the moment, when it is known
     */
    public Optional<Instant> getUpSince() {
        return Optional.ofNullable(upSince);
    }

    /**
     * The storage it got its first files from.
     *
     * @return its id, when there was one
     */
    public Optional<String> getSyncSource() {
        return Optional.ofNullable(syncSource);
    }

    /**
     * Its counters and times.
     *
     * @return by the names of the protocol, such as {@code total_upload_count}; times in Unix
     *     seconds
     */
    public Map<String, Long> getStatistics() {
        return statistics;
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "id", id,
            "address", address,
            "status", status,
            "version", version,
            "joined", joined,
            "totalMb", totalMb,
            "freeMb", freeMb,
            "reservedMb", reservedMb,
            "uploadPriority", uploadPriority,
            "storePathCount", storePathCount,
            "subdirCountPerPath", subdirCountPerPath,
            "currentWritePath", currentWritePath,
            "trunkServer", trunkServer,
            "upSince", upSince,
            "syncSource", syncSource,
            "statistics", statistics
        };
    }
}
