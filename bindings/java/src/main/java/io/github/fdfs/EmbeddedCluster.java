package io.github.fdfs;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A whole cluster inside of this process, for development and tests: a tracker and storages on free
 * ports of the loopback interface. Closing it ends all servers; so does the normal end of the
 * process.
 */
public final class EmbeddedCluster implements AutoCloseable {
    private static final Set<EmbeddedCluster> RUNNING = ConcurrentHashMap.newKeySet();

    static {
        Runnable end = () -> RUNNING.forEach(EmbeddedCluster::close);
        Runtime.getRuntime().addShutdownHook(new Thread(end, "fdfs-embedded-end"));
    }

    private final long number;
    private final String trackerAddress;
    private final List<String> storageAddresses;

    private EmbeddedCluster(long number, String[] addresses) {
        this.number = number;
        trackerAddress = addresses[0];
        storageAddresses =
                Collections.unmodifiableList(
                        Arrays.asList(Arrays.copyOfRange(addresses, 1, addresses.length)));
        RUNNING.add(this);
    }

    /**
     * Starts one storage in {@code group1}, with all files in a temporary folder that is removed at
     * the end.
     *
     * @return the cluster, ready for uploads
     * @throws FdfsException when it cannot start
     */
    public static EmbeddedCluster start() {
        return start(null);
    }

    /**
     * Starts one storage in {@code group1}.
     *
     * @param dir folder for everything; made if missing, and used again if a cluster lived there
     *     before; null for a temporary one
     * @return the cluster, ready for uploads
     * @throws FdfsException when it cannot start
     */
    public static EmbeddedCluster start(Path dir) {
        return start(dir, Collections.singletonMap("group1", 1));
    }

    /**
     * Starts a cluster.
     *
     * @param dir folder for everything; made if missing, and used again if a cluster lived there
     *     before; null for a temporary one
     * @param groups names of groups, and how many storages each has, 1 to 255
     * @return the cluster, ready for uploads
     * @throws FdfsException when it cannot start
     */
    public static EmbeddedCluster start(Path dir, Map<String, Integer> groups) {
        String[] texts = new String[2 * groups.size()];
        int at = 0;
        for (Map.Entry<String, Integer> group : groups.entrySet()) {
            texts[at++] = group.getKey();
            texts[at++] = group.getValue().toString();
        }
        String folder = dir == null ? null : dir.toString();
        long[] number = new long[1];
        Operation.Answer<String[]> answer = (count, value) -> (String[]) value;
        String[] addresses =
                Operation.start(
                                answer,
                                op -> {
                                    number[0] = op;
                                    Native.clusterStart(op, folder, texts);
                                })
                        .await();
        return new EmbeddedCluster(number[0], addresses);
    }

    /**
     * Where clients find the tracker.
     *
     * @return {@code host:port}, as {@link FdfsClientBuilder#trackers} takes it
     */
    public String getTrackerAddress() {
        return trackerAddress;
    }

    /**
     * Where the storages are.
     *
     * @return {@code host:port} of each, in the order of their groups
     */
    public List<String> getStorageAddresses() {
        return storageAddresses;
    }

    /**
     * Ends all servers in order and waits for it; the first time only.
     *
     * @throws FdfsLocalIoException when their state could not be saved
     */
    @Override
    public void close() {
        if (!RUNNING.remove(this)) {
            return;
        }
        try {
            Operation.Answer<Void> answer = (count, value) -> null;
            Operation.start(answer, op -> Native.clusterStop(op, number)).await();
        } finally {
            Native.release(number);
        }
    }
}
