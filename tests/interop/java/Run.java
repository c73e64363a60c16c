import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.csource.common.NameValuePair;
import org.csource.fastdfs.ClientGlobal;
import org.csource.fastdfs.FileInfo;
import org.csource.fastdfs.StorageClient1;
import org.csource.fastdfs.TrackerClient;
import org.csource.fastdfs.TrackerServer;

/** Drives the official Java client as it comes: java Run HOST PORT */
public final class Run {
    private static void check(boolean condition, String what) {
        if (!condition) {
            System.err.println("failed: " + what);
            System.exit(1);
        }
    }

    public static void main(String[] args) throws Exception {
        ClientGlobal.initByTrackers(args[0] + ":" + args[1]);
        TrackerServer tracker = new TrackerClient().getConnection();
        StorageClient1 client = new StorageClient1(tracker, null);
        byte[] content = new byte[10240];
        for (int at = 0; at < content.length; at++) {
            content[at] = (byte) (at * 7);
        }
        Path local = Files.createTempDirectory("fdfs").resolve("photo.jpg");
        Files.write(local, content);

        NameValuePair[] meta = {new NameValuePair("author", "me"), new NameValuePair("width", "160")};
        String byBuffer = client.upload_file1(content, "bin", meta);
        String byFile = client.upload_file1(local.toString(), null, null);
        check(byBuffer != null && byFile != null && byFile.endsWith(".jpg"), "upload");
        System.out.println("ok upload");

        check(Arrays.equals(client.download_file1(byBuffer), content), "content");
        Path down = local.resolveSibling("down");
        check(client.download_file1(byFile, down.toString()) == 0, "download to a file");
        check(Arrays.equals(Files.readAllBytes(down), content), "content in a file");
        System.out.println("ok download");

        byte[] part = client.download_file1(byBuffer, 100, 50);
        check(Arrays.equals(part, Arrays.copyOfRange(content, 100, 150)), "range");
        System.out.println("ok download_range");

        NameValuePair[] stored = client.get_metadata1(byBuffer);
        check(stored.length == 2 && stored[1].getValue().equals("160"), "metadata");
        NameValuePair[] more = {new NameValuePair("height", "80")};
        check(client.set_metadata1(byBuffer, more, (byte) 'M') == 0, "merge metadata");
        check(client.get_metadata1(byBuffer).length == 3, "merged metadata");
        System.out.println("ok metadata");

        FileInfo info = client.query_file_info1(byBuffer);
        check(info.getFileSize() == content.length, "size");
        System.out.println("ok info");

        String appender = client.upload_appender_file1("one".getBytes(), "log", null);
        check(client.append_file1(appender, " two".getBytes()) == 0, "append");
        check(client.modify_file1(appender, 0, "ONE".getBytes()) == 0, "modify");
        check(client.truncate_file1(appender, 5) == 0, "truncate");
        check(new String(client.download_file1(appender)).equals("ONE t"), "appender content");
        System.out.println("ok appender");

        String slave = client.upload_file1(byFile, "_big", content, "jpg", null);
        check(slave != null && Arrays.equals(client.download_file1(slave), content), "slave");
        System.out.println("ok slave");

        for (String id : new String[] {byBuffer, byFile, appender, slave}) {
            check(client.delete_file1(id) == 0, "delete");
            check(client.download_file1(id) == null, "download after deletion");
        }
        System.out.println("ok delete");
        tracker.close();
    }
}
