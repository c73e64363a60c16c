import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.csource.fastdfs.ClientGlobal;
import org.csource.fastdfs.StorageClient1;
import org.csource.fastdfs.TrackerClient;
import org.csource.fastdfs.TrackerServer;

/**
 * Measures the official client: java Usual TRACKER SECONDS
 *
 * <p>As its users write it: each thread has a client, which asks the tracker for each call. It has
 * no pool and connects anew to the storage. Bound to one storage for good it would be faster, and
 * fail with that storage.
 */
public final class Usual {
    private static final Queue<String> STORED = new ConcurrentLinkedQueue<>();

    private Usual() {}

    public static void main(String[] args) throws Exception {
        double seconds = Double.parseDouble(args[1]);
        ClientGlobal.initByTrackers(args[0]);
        for (int size : new int[] {4096, 1048576}) {
            byte[] content = new byte[size];
            for (int count : new int[] {1, 64}) {
                Load.Caller uploads = Load.threads(count, number -> load -> {
                    StorageClient1 client = client();
                    while (!load.isOver()) {
                        STORED.add(client.upload_file1(content, "bin", null));
                        load.done();
                    }
                });
                Load.measure("upload", size, count, seconds, uploads, Usual::clean);
            }
            String id = client().upload_file1(content, "bin", null);
            for (int count : new int[] {1, 64}) {
                Load.Caller downloads = Load.threads(count, number -> load -> {
                    StorageClient1 client = client();
                    while (!load.isOver()) {
                        if (client.download_file1(id).length != size) {
                            throw new IllegalStateException("short");
                        }
                        load.done();
                    }
                });
                Load.measure("download", size, count, seconds, downloads, () -> {});
            }
            client().delete_file1(id);
        }
        System.exit(0);
    }

    private static void clean() throws Exception {
        StorageClient1 client = client();
        for (String id; (id = STORED.poll()) != null; ) {
            client.delete_file1(id);
        }
    }

    private static StorageClient1 client() throws Exception {
        TrackerServer tracker = new TrackerClient().getConnection();
        return new StorageClient1(tracker, null);
    }
}
