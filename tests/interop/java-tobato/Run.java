import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import com.github.tobato.fastdfs.FdfsClientConfig;
import com.github.tobato.fastdfs.domain.fdfs.MetaData;
import com.github.tobato.fastdfs.domain.fdfs.StorePath;
import com.github.tobato.fastdfs.domain.proto.storage.DownloadByteArray;
import com.github.tobato.fastdfs.exception.FdfsServerException;
import com.github.tobato.fastdfs.service.AppendFileStorageClient;
import com.github.tobato.fastdfs.service.FastFileStorageClient;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import org.slf4j.LoggerFactory;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;

/** Drives com.github.tobato:fastdfs-client as it comes, within Spring: java Run HOST PORT */
public final class Run {
    /** What an application of this client declares. */
    @Configuration
    @EnableConfigurationProperties
    @Import(FdfsClientConfig.class)
    public static class Application {}

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private static InputStream stream(byte[] content) {
        return new ByteArrayInputStream(content);
    }

    private static byte[] read(AppendFileStorageClient client, StorePath id) {
        return client.downloadFile(id.getGroup(), id.getPath(), new DownloadByteArray());
    }

    public static void main(String[] args) {
        System.setProperty("fdfs.tracker-list", args[0] + ":" + args[1]);
        System.setProperty("fdfs.so-timeout", "30000");
        System.setProperty("fdfs.connect-timeout", "5000");
        // Only results belong on the standard output, and the log goes there as well.
        ((Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME)).setLevel(Level.OFF);
        try (AnnotationConfigApplicationContext context =
                new AnnotationConfigApplicationContext(Application.class)) {
            run(
                    context.getBean(FastFileStorageClient.class),
                    context.getBean(AppendFileStorageClient.class));
        } catch (RuntimeException e) {
            System.err.println("failed: " + e);
            System.exit(1);
        }
    }

    private static void run(FastFileStorageClient files, AppendFileStorageClient client) {
        byte[] content = new byte[10240];
        for (int at = 0; at < content.length; at++) {
            content[at] = (byte) (at * 7);
        }
        Set<MetaData> author = new HashSet<>();
        author.add(new MetaData("author", "me"));
        author.add(new MetaData("width", "160"));
        StorePath plain = client.uploadFile("group1", stream(content), content.length, "bin");
        StorePath described = files.uploadFile(stream(content), content.length, "jpg", author);
        check(described.getPath().endsWith(".jpg"), "extension");
        System.out.println("ok upload");

        check(Arrays.equals(read(client, plain), content), "content");
        check(Arrays.equals(read(client, described), content), "content of a described file");
        System.out.println("ok download");

        String group = described.getGroup();
        String path = described.getPath();
        byte[] part = client.downloadFile(group, path, 100, 50, new DownloadByteArray());
        check(Arrays.equals(part, Arrays.copyOfRange(content, 100, 150)), "range");
        System.out.println("ok download_range");

        check(client.getMetadata(group, path).equals(author), "metadata of the upload");
        Set<MetaData> more = Collections.singleton(new MetaData("height", "80"));
        client.mergeMetadata(group, path, more);
        check(client.getMetadata(group, path).size() == 3, "merged metadata");
        Set<MetaData> other = Collections.singleton(new MetaData("author", "you"));
        client.overwriteMetadata(group, path, other);
        check(client.getMetadata(group, path).equals(other), "overwritten metadata");
        System.out.println("ok metadata");

        check(client.queryFileInfo(group, path).getFileSize() == content.length, "size");
        System.out.println("ok info");

        InputStream one = stream("one".getBytes());
        StorePath appender = client.uploadAppenderFile("group1", one, 3, "log");
        String log = appender.getPath();
        client.appendFile(group, log, stream(" two".getBytes()), 4);
        client.modifyFile(group, log, stream("ONE".getBytes()), 3, 0);
        check(new String(read(client, appender)).equals("ONE two"), "appender content");
        // Only to nothing: for any other size this client announces that many more bytes than it
        // sends, and every server waits for them.
        client.truncateFile(group, log);
        check(client.queryFileInfo(group, log).getFileSize() == 0, "truncated");
        System.out.println("ok appender");

        StorePath slave =
                client.uploadSlaveFile(
                        group, path, stream(content), content.length, "_big", "jpg");
        check(slave.getPath().endsWith("_big.jpg"), "name of the slave");
        check(Arrays.equals(read(client, slave), content), "content of the slave");
        System.out.println("ok slave");

        for (StorePath id : new StorePath[] {slave, plain, described, appender}) {
            client.deleteFile(id.getGroup(), id.getPath());
            try {
                read(client, id);
            } catch (FdfsServerException e) {
                continue;
            }
            throw new IllegalStateException(id + " can be downloaded after its deletion");
        }
        System.out.println("ok delete");
    }
}
