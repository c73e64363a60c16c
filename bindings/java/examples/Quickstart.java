import io.github.fdfs.FdfsClient;
import io.github.fdfs.FileId;
import io.github.fdfs.UploadOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;

/** Uploads a file, reads it back and deletes it: java Quickstart HOST:PORT */
public final class Quickstart {
    private Quickstart() {}

    public static void main(String[] args) throws Exception {
        Path photo = Files.write(Files.createTempFile("photo", ".jpg"), new byte[] {1, 2, 3});
        try (FdfsClient client = FdfsClient.builder().trackers(args[0]).build()) {
            UploadOptions how =
                    UploadOptions.NONE.withMetadata(Collections.singletonMap("width", "160"));
            FileId id = client.upload(photo, how);
            System.out.println(id + " has " + client.stat(id).getSize() + " bytes");
            System.out.println(client.download(id).length + " bytes came back");
            System.out.println("width: " + client.getMetadata(id).get("width"));
            System.out.println("deleted: " + client.delete(id));
        }
        Files.delete(photo);
    }
}
