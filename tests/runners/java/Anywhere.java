import io.github.fdfs.ErrorKind;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsException;
import io.github.fdfs.FdfsOutputStream;
import io.github.fdfs.FileId;
import io.github.fdfs.FileInfo;
import io.github.fdfs.FileKind;
import io.github.fdfs.GroupInfo;
import io.github.fdfs.MetadataMode;
import io.github.fdfs.PoolStats;
import io.github.fdfs.StorageInfo;
import io.github.fdfs.TrackerInfo;
import io.github.fdfs.UploadOptions;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Scenarios that need nothing but servers. */
final class Anywhere {
    private Anywhere() {}

    static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void roundTrips() {
        try (FdfsClient client = Runner.client()) {
            for (int length : new int[] {0, 1, 262143, 262144, 262145, 104857600}) {
                byte[] content = Runner.bytes(length);
                FileId id = client.upload(content, UploadOptions.ext("bin"));
                Runner.equal(id.getKind(), FileKind.NORMAL);
                Runner.equal(id.getSize(), OptionalLong.of(length));
                FileInfo info = client.stat(id);
                Runner.equal(info.getSize(), (long) length);
                Runner.equal(OptionalLong.of(info.getCrc32()), id.getCrc32());
                java.util.zip.CRC32 crc = new java.util.zip.CRC32();
                crc.update(content);
                Runner.equal(info.getCrc32(), crc.getValue());
                Runner.check(Arrays.equals(client.download(id), content), "content of " + length);
                Runner.check(client.delete(id), "deleted");
                Runner.check(!client.exists(id), "gone");
            }
        }
    }

    static void ranges() {
        try (FdfsClient client = Runner.client()) {
            byte[] content = Runner.bytes(1_000_000);
            FileId id = client.upload(content, UploadOptions.NONE);
            long[][] cases = {
                {10, 20, 10, 30},
                {999_990, 1000, 999_990, 1_000_000},
                {400_000, 500_000, 400_000, 900_000},
                {-5, 100, 999_995, 1_000_000},
                {-600_000, 500_000, 400_000, 900_000},
                {1_000_000, 10, 0, 0},
                {0, 0, 0, 0},
                {0, Long.MAX_VALUE, 0, 1_000_000},
            };
            for (long[] row : cases) {
                byte[] part = Arrays.copyOfRange(content, (int) row[2], (int) row[3]);
                byte[] got = client.download(id, row[0], row[1]);
                Runner.check(Arrays.equals(got, part), Arrays.toString(row));
            }
            for (ByteBuffer buffer :
                    new ByteBuffer[] {ByteBuffer.allocate(110), ByteBuffer.allocateDirect(110)}) {
                buffer.position(5).limit(105);
                Runner.equal(client.downloadInto(id, buffer, 7), 100);
                Runner.equal(buffer.position(), 105);
                byte[] got = new byte[110];
                buffer.clear();
                buffer.get(got);
                byte[] expected = new byte[110];
                System.arraycopy(content, 7, expected, 5, 100);
                Runner.check(Arrays.equals(got, expected), "into " + buffer);
                buffer.clear();
                Runner.equal(client.downloadInto(id, buffer, 999_999), 1);
            }
            client.delete(id);
        }
    }

    static void appender() {
        try (FdfsClient client = Runner.client()) {
            FileId id = client.upload(text("one"), UploadOptions.ext("log").withAppender());
            Runner.equal(id.getKind(), FileKind.APPENDER);
            Runner.equal(id.getSize(), OptionalLong.empty());
            client.append(id, text(" two"));
            client.append(id, new byte[0]);
            client.modify(id, 0, text("ONE"));
            client.truncate(id, 5);
            client.truncate(id, 5);
            Runner.equal(new String(client.download(id), StandardCharsets.UTF_8), "ONE t");
            Runner.equal(client.stat(id).getSize(), 5L);
            FileId normal = client.finalizeFile(id);
            Runner.equal(normal.getKind(), FileKind.NORMAL);
            Runner.equal(normal.getSize(), OptionalLong.of(5));
            Runner.check(!client.exists(id), "the appender is gone");
            client.delete(normal);

            byte[] content = Runner.bytes(700_000);
            FdfsOutputStream out = client.create(UploadOptions.ext("txt"));
            for (int at = 0; at < content.length; at += 99_999) {
                out.write(content, at, Math.min(99_999, content.length - at));
            }
            out.close();
            FileId written = out.getFileId();
            Runner.equal(written.getKind(), FileKind.NORMAL);
            Runner.check(Arrays.equals(client.download(written), content), "what was written");
            client.delete(written);
        }
    }

    static void slave() throws Exception {
        try (FdfsClient client = Runner.client()) {
            FileId master = client.upload(text("master"), UploadOptions.ext("jpg"));
            UploadOptions how = UploadOptions.ext("jpg");
            FileId slave = client.uploadSlave(master, "_big", text("slave"), how);
            Runner.equal(slave, master.slave("_big", "jpg"));
            Runner.equal(slave.getKind(), FileKind.SLAVE);
            Runner.equal(new String(client.download(slave), StandardCharsets.UTF_8), "slave");
            Runner.fails(
                    ErrorKind.ALREADY_EXISTS,
                    () -> client.uploadSlave(master, "_big", text("slave"), how));
            client.delete(slave);
            client.delete(master);
        }
    }

    static void metadata() throws Exception {
        try (FdfsClient client = Runner.client()) {
            Map<String, String> first = new HashMap<>();
            first.put("author", "Åse 木 \uD83D\uDE00");
            first.put("width", "160");
            FileId id = client.upload(text("x"), UploadOptions.ext("png").withMetadata(first));
            Runner.equal(client.getMetadata(id), first);
            Map<String, String> more = new HashMap<>();
            more.put("width", "80");
            more.put("a", "");
            client.setMetadata(id, more, MetadataMode.MERGE);
            first.putAll(more);
            Runner.equal(client.getMetadata(id), first);
            Map<String, String> only = Collections.singletonMap("only", "1");
            client.setMetadata(id, only, MetadataMode.OVERWRITE);
            Runner.equal(client.getMetadata(id), only);
            String[][] unfit = {
                {String.join("", Collections.nCopies(65, "n")), "v"},
                {"n", String.join("", Collections.nCopies(86, "木"))},
                {"n\u0001", "v"},
                {"n", "\u0002"},
                {"", "v"},
            };
            for (String[] item : unfit) {
                Map<String, String> map = Collections.singletonMap(item[0], item[1]);
                Runner.fails(
                        ErrorKind.INVALID_ARGUMENT,
                        () -> {
                            client.setMetadata(id, map, MetadataMode.OVERWRITE);
                            return "set";
                        });
                Runner.fails(
                        ErrorKind.INVALID_ARGUMENT,
                        () -> client.upload(text("x"), UploadOptions.NONE.withMetadata(map)));
            }
            client.setMetadata(id, Collections.emptyMap(), MetadataMode.OVERWRITE);
            Runner.check(client.getMetadata(id).isEmpty(), "removed");
            client.delete(id);
        }
    }

    static void errors() throws Exception {
        FdfsClient client = Runner.client();
        FileId id = client.upload(text("x"), UploadOptions.ext("txt"));
        Runner.check(client.delete(id), "there was one");
        Runner.check(!client.delete(id), "there was none");
        FdfsException error = Runner.fails(ErrorKind.NOT_FOUND, () -> client.download(id));
        Runner.equal(error.getErrno(), OptionalInt.of(2));
        Runner.equal(error.getFileId().get(), id);
        Runner.check(error.getServer().get().matches("[0-9.]+:[0-9]+"), error.getServer());
        Runner.equal(error.getCommand(), OptionalInt.of(14));
        Runner.check(!error.isRetryable() && !error.isOutcomeUnknown(), error);
        Runner.fails(ErrorKind.NOT_FOUND, () -> client.stat(id));
        Runner.fails(ErrorKind.NOT_FOUND, () -> client.getMetadata(id));
        Runner.fails(ErrorKind.NOT_FOUND, () -> client.open(id));
        FileId elsewhere = FileId.parse("nogroup/" + id.getPath());
        error = Runner.fails(ErrorKind.NO_SERVER, () -> client.stat(elsewhere));
        Runner.check(error.getServer().isPresent(), error);
        UploadOptions nowhere = UploadOptions.NONE.withGroup("nogroup");
        Runner.fails(ErrorKind.NO_SERVER, () -> client.upload(text("x"), nowhere));
        for (String wrong : new String[] {"/" + id, "http://h/" + id, id.getPath(), ""}) {
            Runner.fails(ErrorKind.INVALID_ARGUMENT, () -> FileId.parse(wrong));
        }
        UploadOptions tooLong = UploadOptions.ext("toolong");
        Runner.fails(ErrorKind.INVALID_ARGUMENT, () -> client.upload(text("x"), tooLong));
        client.close();
        client.close();
        Runner.fails(ErrorKind.CLOSED, () -> client.download(id));
        Runner.fails(ErrorKind.CLOSED, client::poolStats);
    }

    static void cluster() throws Exception {
        try (FdfsClient client = Runner.client()) {
            GroupInfo group = client.listGroups().get(0);
            List<StorageInfo> storages = client.listStorages(group.getName());
            for (StorageInfo storage : storages) {
                Runner.check(storage.getTotalMb() > 0, storage);
                Runner.equal(
                        client.listStorages(group.getName(), storage.getId()).get(0).getAddress(),
                        storage.getAddress());
            }
            StorageInfo active =
                    storages.stream().filter(s -> s.getStatus().equals("ACTIVE")).findAny().get();
            for (TrackerInfo tracker : client.listTrackers()) {
                Runner.check(tracker.isAlive(), tracker);
            }
            client.ping();
            FileId id = client.upload(text("x"), UploadOptions.NONE);
            Runner.equal(client.locate(id).size(), 1);
            Runner.check(client.locate(id, true).containsAll(client.locate(id)), "located");
            client.delete(id);
            Runner.equal(client.pickUpload(group.getName()).getGroup(), group.getName());
            Runner.check(client.pickUpload().getStorePathIndex() >= 0, "picked");
            List<PoolStats> stats = client.poolStats();
            Runner.check(stats.size() >= 2 && stats.get(0).getCreated() > 0, stats);
            Runner.fails(
                    ErrorKind.BUSY,
                    () -> {
                        client.admin().deleteStorage(group.getName(), active.getId());
                        return "deleted";
                    });
        }
    }

    private static byte[] numbered(int number) {
        return text(String.join("", Collections.nCopies(number + 1, "content " + number)));
    }

    static void concurrent() throws Exception {
        try (FdfsClient client = Runner.client()) {
            ExecutorService threads = Executors.newFixedThreadPool(200);
            CountDownLatch together = new CountDownLatch(200);
            List<Future<?>> calls = new ArrayList<>();
            for (int number = 0; number < 200; number++) {
                byte[] content = numbered(number);
                calls.add(
                        threads.submit(
                                () -> {
                                    together.countDown();
                                    together.await();
                                    FileId id = client.upload(content, UploadOptions.ext("txt"));
                                    Runner.check(
                                            Arrays.equals(client.download(id), content), "own");
                                    Runner.check(client.delete(id), "own");
                                    return null;
                                }));
            }
            for (Future<?> call : calls) {
                call.get();
            }
            threads.shutdown();
            List<CompletableFuture<?>> chains = new ArrayList<>();
            for (int number = 0; number < 200; number++) {
                byte[] content = numbered(number);
                chains.add(
                        client.async()
                                .upload(content, UploadOptions.ext("txt"))
                                .thenCompose(
                                        id ->
                                                client.async()
                                                        .download(id)
                                                        .thenCompose(
                                                                got -> {
                                                                    Runner.check(
                                                                            Arrays.equals(
                                                                                    got, content),
                                                                            "own");
                                                                    return client.async()
                                                                            .delete(id);
                                                                })));
            }
            for (CompletableFuture<?> chain : chains) {
                Runner.equal(chain.get(), true);
            }
        }
    }
}
