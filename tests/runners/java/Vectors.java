import io.github.fdfs.ErrorKind;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsException;
import io.github.fdfs.FileId;
import io.github.fdfs.FileKind;
import io.github.fdfs.Tokens;
import io.github.fdfs.UploadOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;

/** Scenarios with what is written down in files. */
final class Vectors {
    private Vectors() {}

    private static List<String[]> rows(String name) throws IOException {
        Path file = Paths.get(Runner.var("FDFS_VECTORS"), name);
        List<String[]> rows = new ArrayList<>();
        for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
            rows.add(line.split("\t", -1));
        }
        rows.remove(0);
        Runner.check(!rows.isEmpty(), name + " is empty");
        return rows;
    }

    static void ids() throws Exception {
        for (String[] row : rows("file_ids.tsv")) {
            FileId id = FileId.parse(row[1]);
            FileKind kind = FileKind.valueOf(row[2].toUpperCase(Locale.ROOT));
            Runner.equal(id.toString(), row[1]);
            Runner.equal(id.getGroup() + "/" + id.getPath(), row[1]);
            Runner.equal(id.getPath().substring(1, 3), hexByte(id.getStorePathIndex()));
            Runner.equal(id.getKind(), kind);
            Runner.equal(id.getSource().get(), row[4]);
            Runner.equal(id.getCreatedAt().get(), Instant.ofEpochSecond(Long.parseLong(row[5])));
            boolean tells = kind == FileKind.NORMAL || kind == FileKind.TRUNK;
            long field = Long.parseUnsignedLong(row[6], 16);
            long size = field < 0 ? field & 0xffff_ffffL : field;
            OptionalLong none = OptionalLong.empty();
            Runner.equal(id.getSize(), tells ? OptionalLong.of(size) : none);
            long crc = Long.parseLong(row[7], 16);
            Runner.equal(id.getCrc32(), tells ? OptionalLong.of(crc) : none);
        }
        tokens();
        List<String[]> kinds = rows("errors.tsv");
        Runner.equal(kinds.size(), ErrorKind.values().length);
        for (String[] row : kinds) {
            ErrorKind kind = ErrorKind.valueOf(row[0].toUpperCase(Locale.ROOT));
            Runner.equal(kind.code(), row[0]);
            Runner.equal(kind.number(), Integer.parseInt(row[1]));
            Runner.equal(kind.isRetryable(), Boolean.parseBoolean(row[2]));
        }
    }

    private static String hexByte(int number) {
        return String.format("%02X", number);
    }

    /**
     * A row with the group in the name is for old fronts. This interface takes file ids and leaves
     * the group out, so for such a row it must give the token of the same file without group.
     */
    private static void tokens() throws IOException {
        Map<String, String> expected = new HashMap<>();
        for (String[] row : rows("tokens.tsv")) {
            if (row[1].startsWith("M")) {
                expected.put(row[1] + "\t" + row[2] + "\t" + row[3], row[4]);
            }
        }
        for (String[] row : rows("tokens.tsv")) {
            boolean grouped = !row[1].startsWith("M");
            FileId id = FileId.parse(grouped ? row[1] : "group1/" + row[1]);
            String token = Tokens.make(id, Long.parseLong(row[3]), row[2]);
            Runner.equal(token, expected.get(id.getPath() + "\t" + row[2] + "\t" + row[3]));
        }
    }

    static void conf() throws Exception {
        Path folder = Files.createTempDirectory(Paths.get(Runner.var("FDFS_DIR")), "java");
        Path conf = folder.resolve("client.conf");
        String text =
                "# as it was\nconnect_timeout = 2\nnetwork_timeout = 20\n"
                        + "tracker_server = "
                        + Runner.var("FDFS_TRACKER")
                        + "\nno_such_key = 1\n";
        Files.write(conf, text.getBytes(StandardCharsets.UTF_8));
        try (FdfsClient client = FdfsClient.fromConf(conf)) {
            client.ping();
        }
        // Group and addresses are ours, the tracker is the file's.
        try (FdfsClient client =
                FdfsClient.builder()
                        .conf(conf)
                        .group("group2")
                        .ioTimeout(Duration.ofMillis(300))
                        .build()) {
            FileId id = client.upload(new byte[1], UploadOptions.NONE);
            Runner.equal(id.getGroup(), "group2");
            client.delete(id);
        }
        try (FdfsClient client =
                FdfsClient.builder()
                        .conf(conf)
                        .group("group1")
                        .mapAddress(Runner.var("FDFS_STORAGE"), Runner.var("FDFS_STALL"))
                        .ioTimeout(Duration.ofMillis(300))
                        .build()) {
            FdfsException error =
                    Runner.fails(
                            ErrorKind.TIMEOUT,
                            () -> client.upload(new byte[1], UploadOptions.NONE));
            Runner.check(error.getMessage().contains("300ms"), error);
        }
        Runner.fails(ErrorKind.CONFIG, () -> FdfsClient.fromConf(folder.resolve("none.conf")));
        Runner.fails(ErrorKind.CONFIG, () -> FdfsClient.builder().build());
    }
}
