import io.github.fdfs.EmbeddedCluster;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FileId;
import io.github.fdfs.UploadOptions;
import java.nio.charset.StandardCharsets;

/** Needs no server: the cluster is in this process, and gone at the end. */
public final class Embedded {
    private Embedded() {}

    public static void main(String[] args) {
        try (EmbeddedCluster cluster = EmbeddedCluster.start();
                FdfsClient client =
                        FdfsClient.builder().trackers(cluster.getTrackerAddress()).build()) {
            byte[] hello = "hello".getBytes(StandardCharsets.UTF_8);
            FileId id = client.upload(hello, UploadOptions.ext("txt"));
            System.out.println(new String(client.download(id), StandardCharsets.UTF_8));
        }
    }
}
