import io.github.fdfs.EmbeddedCluster;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsInputStream;
import io.github.fdfs.FileId;
import io.github.fdfs.UploadOptions;

/** Ends with calls under way: java Ending return|exit|lost|embedded */
public final class Ending {
    private Ending() {}

    public static void main(String[] args) throws Exception {
        if (args[0].equals("embedded")) {
            EmbeddedCluster cluster = EmbeddedCluster.start();
            FdfsClient client = Runner.client(cluster.getTrackerAddress());
            client.upload(new byte[1], UploadOptions.NONE);
            return;
        }
        FdfsClient stalled =
                FdfsClient.builder()
                        .trackers(Runner.var("FDFS_TRACKER"))
                        .mapAddress(Runner.var("FDFS_STORAGE"), Runner.var("FDFS_STALL"))
                        .group("group1")
                        .build();
        FdfsClient busy = Runner.client();
        byte[] content = Runner.bytes(3_000_000);
        FileId id = busy.upload(content, UploadOptions.NONE);
        FdfsInputStream in = busy.open(id);
        in.read();
        for (int number = 0; number < 8; number++) {
            stalled.async().upload(content, UploadOptions.NONE);
            // Answers that come while the virtual machine ends.
            busy.async().download(id);
        }
        switch (args[0]) {
            case "exit":
                System.exit(0);
                break;
            case "lost":
                stalled = null;
                busy = null;
                in = null;
                System.gc();
                break;
            default:
                break;
        }
    }
}
