import io.github.fdfs.EmbeddedCluster;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsInputStream;
import io.github.fdfs.FileId;
import io.github.fdfs.UploadOptions;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Scenarios about what a process has and leaves behind. */
final class Processes {
    private Processes() {}

    private static int entries(String folder) {
        String[] names = new File(folder).list();
        return names == null ? 0 : names.length;
    }

    /** Everything that could leave a thread or a handle. */
    private static void work() throws Exception {
        byte[] content = Runner.bytes(300_000);
        try (FdfsClient client = Runner.client()) {
            List<CompletableFuture<FileId>> calls = new ArrayList<>();
            for (int number = 0; number < 50; number++) {
                calls.add(client.async().upload(content, UploadOptions.NONE));
            }
            for (CompletableFuture<FileId> call : calls) {
                FileId id = call.get();
                client.download(id);
                client.async().downloadTo(id, new ByteArrayOutputStream()).get();
                try (FdfsInputStream in = client.open(id)) {
                    in.read();
                }
                client.delete(id);
            }
            FileId id =
                    client.async()
                            .upload(new ByteArrayInputStream(content), -1, UploadOptions.NONE)
                            .get();
            Path file = Files.createTempFile(Paths.get(Runner.var("FDFS_DIR")), "java", "");
            client.downloadTo(id, file);
            client.delete(client.upload(file, UploadOptions.NONE));
            client.delete(id);
            client.async().upload(content, UploadOptions.NONE).cancel(true);
        }
    }

    static void baseline() throws Exception {
        work(); // Starts the threads of the core, which stay.
        settle(0, 0);
        int threads = entries("/proc/self/task");
        int handles = entries("/proc/self/fd");
        for (int round = 0; round < 3; round++) {
            work();
            settle(threads, handles);
        }
    }

    /** Waits until there are no more threads and handles than these, or, for 0, no fewer ones. */
    private static void settle(int threads, int handles) throws InterruptedException {
        long quietSince = System.nanoTime();
        long deadline = quietSince + TimeUnit.SECONDS.toNanos(40);
        int lastThreads = 0;
        int lastHandles = 0;
        for (; ; ) {
            int nowThreads = entries("/proc/self/task");
            int nowHandles = entries("/proc/self/fd");
            if (threads > 0 && nowThreads <= threads && nowHandles <= handles) {
                return;
            }
            if (nowThreads != lastThreads || nowHandles != lastHandles) {
                quietSince = System.nanoTime();
                lastThreads = nowThreads;
                lastHandles = nowHandles;
            }
            // Idle threads of both worlds go within 10 s.
            long quiet = System.nanoTime() - quietSince;
            if (threads == 0 && quiet > TimeUnit.SECONDS.toNanos(12)) {
                return;
            }
            Runner.check(
                    System.nanoTime() < deadline,
                    nowThreads + " threads, " + nowHandles + " handles; before it were " + threads
                            + " and " + handles);
            Thread.sleep(50);
        }
    }

    private static int child(String main, String... args) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(System.getProperty("java.home") + "/bin/java");
        command.add("-Djava.io.tmpdir=" + System.getProperty("java.io.tmpdir"));
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add(main);
        command.addAll(Arrays.asList(args));
        Process process = new ProcessBuilder(command).inheritIO().start();
        if (!process.waitFor(20, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError(main + " " + Arrays.toString(args) + " hangs");
        }
        return process.exitValue();
    }

    static void exitWithWork() throws Exception {
        for (String how : new String[] {"return", "exit", "lost"}) {
            for (int round = 0; round < 5; round++) {
                long start = System.nanoTime();
                Runner.equal(child("Ending", how), 0);
                // Far less than the 30 s that the calls would wait.
                long took = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start);
                Runner.check(took < 10, how + " took " + took + " s");
            }
        }
    }

    static void embedded() throws Exception {
        String tmp = System.getenv("TMPDIR");
        EmbeddedCluster cluster =
                EmbeddedCluster.start(null, Collections.singletonMap("group1", 1));
        Runner.equal(entries(tmp), 1);
        Runner.equal(cluster.getStorageAddresses().size(), 1);
        byte[] content = Runner.bytes(100_000);
        try (FdfsClient client = Runner.client(cluster.getTrackerAddress())) {
            FileId id = client.upload(content, UploadOptions.NONE);
            Runner.check(Arrays.equals(client.download(id), content), "content");
            cluster.close();
            cluster.close();
            Runner.fails(() -> client.download(id));
        }
        Runner.equal(entries(tmp), 0);
        keeps(content);
        // Nobody closes it: the end of the process does.
        Runner.equal(child("Ending", "embedded"), 0);
        Runner.equal(entries(tmp), 0);
    }

    /** A folder of one's own stays, with what was stored. */
    private static void keeps(byte[] content) throws IOException {
        Path folder = Files.createTempDirectory("own");
        FileId id;
        try (EmbeddedCluster cluster = EmbeddedCluster.start(folder);
                FdfsClient client = Runner.client(cluster.getTrackerAddress())) {
            id = client.upload(content, UploadOptions.NONE);
        }
        try (EmbeddedCluster cluster = EmbeddedCluster.start(folder);
                FdfsClient client = Runner.client(cluster.getTrackerAddress())) {
            Runner.check(Arrays.equals(client.download(id), content), "kept");
        }
        try (java.util.stream.Stream<Path> all = Files.walk(folder)) {
            all.sorted(Collections.reverseOrder()).map(Path::toFile).forEach(File::delete);
        }
    }
}
