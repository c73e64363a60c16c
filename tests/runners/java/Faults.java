import io.github.fdfs.CallOptions;
import io.github.fdfs.ErrorKind;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsClientBuilder;
import io.github.fdfs.FdfsException;
import io.github.fdfs.FileId;
import io.github.fdfs.PoolStats;
import io.github.fdfs.ServerAddress;
import io.github.fdfs.UploadOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Scenarios with servers that misbehave. */
final class Faults {
    private static final UploadOptions GROUP1 = UploadOptions.NONE.withGroup("group1");

    private Faults() {}

    /** A client whose storage is the one that misbehaves under this name. */
    private static FdfsClientBuilder behind(String fault) {
        return FdfsClient.builder()
                .trackers(Runner.var("FDFS_TRACKER"))
                .mapAddress(Runner.var("FDFS_STORAGE"), Runner.var(fault))
                .group("group1")
                .ioTimeout(Duration.ofMillis(500));
    }

    private static void isOne(FdfsException error, ErrorKind... kinds) {
        Runner.check(Arrays.asList(kinds).contains(error.getKind()), error);
    }

    static void addressWidths() {
        for (String tracker : new String[] {"FDFS_TRACKER_V4", "FDFS_TRACKER_V6"}) {
            try (FdfsClient client = Runner.client(Runner.var(tracker))) {
                byte[] content = Anywhere.text("wide");
                FileId id = client.upload(content, UploadOptions.NONE);
                Runner.check(Arrays.equals(client.download(id), content), tracker);
                List<ServerAddress> located = client.locate(id);
                Runner.equal(located.get(0).getHost(), "127.0.0.1");
                Runner.equal(
                        client.listStorages("group1").get(0).getAddress(), located.get(0));
            }
        }
    }

    static void trackerDown() throws Exception {
        String dead = Runner.var("FDFS_DEAD");
        for (int round = 0; round < 4; round++) {
            try (FdfsClient client = Runner.client(dead, Runner.var("FDFS_TRACKER"))) {
                Runner.check(client.delete(client.upload(new byte[1], UploadOptions.NONE)), "it");
            }
        }
        try (FdfsClient client = Runner.client(dead)) {
            FdfsException error =
                    Runner.fails(() -> client.upload(new byte[1], UploadOptions.NONE));
            isOne(error, ErrorKind.NO_SERVER, ErrorKind.CONNECT);
            Runner.check(error.isRetryable(), error);
        }
    }

    static void cut() throws Exception {
        Path folder = Files.createTempDirectory(Paths.get(Runner.var("FDFS_DIR")), "java");
        byte[] content = Runner.bytes(4 << 20);
        try (FdfsClient client = behind("FDFS_CUT").build();
                FdfsClient direct = Runner.client()) {
            FdfsException error = Runner.fails(() -> client.upload(content, UploadOptions.NONE));
            isOne(error, ErrorKind.PROTOCOL, ErrorKind.CONNECT);
            Runner.check(error.isOutcomeUnknown() && !error.isRetryable(), error);
            FileId id = direct.upload(content, GROUP1);
            isOne(
                    Runner.fails(() -> client.download(id)),
                    ErrorKind.PROTOCOL,
                    ErrorKind.CONNECT);
            Runner.fails(() -> client.downloadTo(id, folder.resolve("part")));
            Runner.fails(() -> client.downloadTo(id, new java.io.ByteArrayOutputStream()));
            try (Stream<Path> files = Files.list(folder)) {
                Runner.equal(files.count(), 0L);
            }
            byte[] part = client.download(id, 0, 1000);
            Runner.check(Arrays.equals(part, Arrays.copyOf(content, 1000)), "part");
            direct.delete(id);
        }
    }

    static void halfReply() throws Exception {
        try (FdfsClient client = behind("FDFS_HALF").build();
                FdfsClient direct = Runner.client()) {
            FdfsException error =
                    Runner.fails(() -> client.upload(new byte[1], UploadOptions.NONE));
            isOne(error, ErrorKind.PROTOCOL, ErrorKind.CONNECT);
            FileId id = direct.upload(new byte[100], GROUP1);
            isOne(
                    Runner.fails(() -> client.download(id)),
                    ErrorKind.PROTOCOL,
                    ErrorKind.CONNECT);
            direct.delete(id);
        }
    }

    static void stall() throws Exception {
        try (FdfsClient client = behind("FDFS_STALL").build()) {
            FdfsException error =
                    Runner.fails(
                            ErrorKind.TIMEOUT,
                            () -> client.upload(new byte[1], UploadOptions.NONE));
            Runner.check(error.getMessage().contains("io_timeout"), error);
            CallOptions hurried = CallOptions.timeout(Duration.ofMillis(100));
            error =
                    Runner.fails(
                            ErrorKind.TIMEOUT,
                            () -> client.upload(new byte[1], UploadOptions.NONE, hurried));
            Runner.check(error.getMessage().contains("100ms"), error);
        }
        // With a patience of 30 s, what ends soon was ended by the cancelling.
        try (FdfsClient client = behind("FDFS_STALL").ioTimeout(Duration.ofSeconds(30)).build()) {
            CompletableFuture<FileId> call =
                    client.async().upload(new byte[1], UploadOptions.NONE);
            await(() -> open(client) == 1);
            Runner.check(call.cancel(true), "cancelled");
            Runner.cancelled(call::join);
            await(() -> open(client) == 0);
            Thread caller = Thread.currentThread();
            Thread interrupter =
                    new Thread(
                            () -> {
                                await(() -> open(client) == 1);
                                caller.interrupt();
                            });
            interrupter.start();
            Runner.cancelled(() -> client.upload(new byte[1], UploadOptions.NONE));
            Runner.check(Thread.interrupted(), "the thread stays interrupted");
            interrupter.join();
            await(() -> open(client) == 0);
        }
    }

    /** Connections that stand to the stalling storage. */
    private static int open(FdfsClient client) {
        for (PoolStats stats : client.poolStats()) {
            if (stats.getServer().equals(Runner.var("FDFS_STALL"))) {
                return stats.getOpen();
            }
        }
        return 0;
    }

    private static void await(java.util.function.BooleanSupplier condition) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
        while (!condition.getAsBoolean()) {
            Runner.check(System.nanoTime() < deadline, "it takes too long");
            Thread.yield();
        }
    }

    static void cancelReuse() {
        try (FdfsClient client = Runner.client()) {
            byte[] content = Runner.bytes(16 << 20);
            byte[] kept = Anywhere.text("kept");
            FileId id = client.upload(kept, UploadOptions.NONE);
            int cancelled = 0;
            for (long round = 0; cancelled < 1000; round++) {
                CompletableFuture<FileId> call =
                        client.async().upload(content, UploadOptions.NONE);
                long until = System.nanoTime() + round * 7 % 1500 * 1000;
                while (System.nanoTime() < until) {
                    Thread.yield();
                }
                // On a busy machine one may have been done by then: it does not count.
                if (call.cancel(true)) {
                    cancelled++;
                } else {
                    client.delete(call.join());
                }
                Runner.check(Arrays.equals(client.download(id), kept), "round " + round);
                Runner.check(round < 5000, "only " + cancelled + " were still on their way");
            }
            client.delete(id);
        }
    }
}
