package io.github.fdfs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClientTest {
    private static EmbeddedCluster cluster;
    private static FdfsClient client;
    private static final byte[] CONTENT = new byte[700_001];

    @TempDir Path folder;

    @BeforeAll
    static void start() {
        new Random(1).nextBytes(CONTENT);
        cluster = EmbeddedCluster.start();
        client = FdfsClient.builder().trackers(cluster.getTrackerAddress()).build();
    }

    /** A client whose futures complete on the threads of the core. */
    private static FdfsClient completingOnCore() {
        return FdfsClient.builder()
                .trackers(cluster.getTrackerAddress())
                .executor(Runnable::run)
                .build();
    }

    @AfterAll
    static void stop() {
        client.close();
        cluster.close();
    }

    @Test
    void buffersOfAllKindsAreUploaded() {
        ByteBuffer direct = ByteBuffer.allocateDirect(CONTENT.length + 10);
        direct.position(7);
        direct.put(CONTENT).flip().position(7);
        ByteBuffer heap = ByteBuffer.wrap(CONTENT, 5, 300_000).slice();
        List<ByteBuffer> buffers = new ArrayList<>();
        Collections.addAll(buffers, direct, direct.slice(), direct.asReadOnlyBuffer());
        Collections.addAll(buffers, heap, heap.asReadOnlyBuffer(), ByteBuffer.allocateDirect(0));
        for (ByteBuffer buffer : buffers) {
            byte[] expected = new byte[buffer.remaining()];
            buffer.duplicate().get(expected);
            int position = buffer.position();
            FileId id = client.upload(buffer, UploadOptions.NONE);
            assertEquals(position, buffer.position());
            assertArrayEquals(expected, client.download(id), buffer.toString());
            client.delete(id);
        }
    }

    @Test
    void everySourceServesEveryCallWithContent() throws Exception {
        Path file = folder.resolve("content");
        Files.write(file, CONTENT);
        ByteBuffer buffer = ByteBuffer.wrap(CONTENT);
        FileId id = client.upload(new byte[3], UploadOptions.NONE.withAppender());
        client.append(id, CONTENT);
        client.append(id, buffer);
        client.append(id, new ByteArrayInputStream(CONTENT), CONTENT.length);
        client.append(id, file);
        client.modify(id, 0, CONTENT);
        client.modify(id, 1, buffer);
        client.modify(id, 2, new ByteArrayInputStream(CONTENT), -1);
        client.modify(id, 3, file);
        byte[] expected = new byte[3 + 4 * CONTENT.length];
        for (int copy = 3; copy >= 0; copy--) {
            System.arraycopy(
                    CONTENT, 0, expected, 3 + copy * CONTENT.length, CONTENT.length);
        }
        Arrays.fill(expected, 0, 3, CONTENT[0]);
        assertArrayEquals(expected, client.download(id));
        client.delete(id);

        FileId master = client.upload(file, UploadOptions.NONE);
        UploadOptions how = UploadOptions.NONE;
        InputStream in = new ByteArrayInputStream(CONTENT);
        FileId[] slaves = {
            client.uploadSlave(master, "_a", CONTENT, how),
            client.uploadSlave(master, "_b", buffer, how),
            client.uploadSlave(master, "_c", in, CONTENT.length, how),
            client.uploadSlave(master, "_d", file, how),
        };
        for (FileId slave : slaves) {
            assertArrayEquals(CONTENT, client.download(slave), slave.toString());
            client.delete(slave);
        }
        client.delete(master);
    }

    @Test
    void progressIsReportedUpToTheWhole() {
        List<Long> reports = Collections.synchronizedList(new ArrayList<>());
        CallOptions options = CallOptions.progress(reports::add);
        FileId id = client.upload(CONTENT, UploadOptions.NONE, options);
        assertEquals(CONTENT.length, reports.get(reports.size() - 1));
        assertTrue(reports.size() > 1, reports.toString());
        reports.clear();
        client.downloadTo(id, new ByteArrayOutputStream(), options);
        assertEquals(CONTENT.length, reports.get(reports.size() - 1));
        List<Long> heard = Collections.synchronizedList(new ArrayList<>());
        CallOptions broken =
                CallOptions.progress(
                        moved -> {
                            heard.add(moved);
                            throw new IllegalStateException("a listener that fails");
                        });
        FdfsLog.LOGGER.setLevel(java.util.logging.Level.OFF);
        assertArrayEquals(CONTENT, client.download(id, broken));
        FdfsLog.LOGGER.setLevel(null);
        assertEquals(1, heard.size(), "it was not asked again");
        client.delete(id);
    }

    @Test
    void streamsSayWhenTheyAreClosed() {
        FileId id = client.upload(CONTENT, UploadOptions.NONE);
        FdfsInputStream in = client.open(id);
        in.read();
        in.close();
        in.close();
        assertThrows(FdfsClosedException.class, in::read);
        assertThrows(FdfsClosedException.class, () -> in.seek(0));
        assertThrows(FdfsInvalidArgumentException.class, () -> client.download(id, 0, -1));
        try (FdfsInputStream other = client.open(id)) {
            assertThrows(FdfsInvalidArgumentException.class, () -> other.seek(-1));
            assertThrows(IndexOutOfBoundsException.class, () -> other.read(new byte[1], 0, 2));
            assertEquals(CONTENT[0] & 0xff, other.read());
        }
        client.delete(id);
    }

    @Test
    void aFileThatIsGivenUpLeavesNothing() {
        FdfsOutputStream out = client.create(UploadOptions.NONE);
        out.write(CONTENT, 0, 300_000);
        assertThrows(FdfsClosedException.class, out::getFileId);
        out.abort();
        out.close();
        assertThrows(FdfsClosedException.class, out::getFileId);
        assertThrows(FdfsClosedException.class, () -> out.write(1));
        FdfsOutputStream stays = client.create(UploadOptions.NONE.withAppender());
        stays.write(1);
        stays.close();
        assertEquals(FileKind.APPENDER, stays.getFileId().getKind());
        assertArrayEquals(new byte[] {1}, client.download(stays.getFileId()));
        client.delete(stays.getFileId());
    }

    @Test
    void futuresOfStreamsCompleteAndFailAndCancel() throws Exception {
        FdfsAsyncClient async = client.async();
        InputStream in = new ByteArrayInputStream(CONTENT);
        FileId id = async.upload(in, CONTENT.length, UploadOptions.NONE).get();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertEquals(CONTENT.length, async.downloadTo(id, out).get());
        assertArrayEquals(CONTENT, out.toByteArray());
        Slow slow = new Slow();
        CompletableFuture<FileId> call = async.upload(slow, 10, UploadOptions.NONE);
        slow.reading.await();
        assertTrue(call.cancel(true));
        slow.goOn.countDown();
        assertThrows(CancellationException.class, call::join);
        InputStream broken =
                new InputStream() {
                    @Override
                    public int read() {
                        throw new UnsupportedOperationException("broken");
                    }
                };
        ExecutionException failed =
                assertThrows(
                        ExecutionException.class,
                        () -> async.upload(broken, 10, UploadOptions.NONE).get());
        assertInstanceOf(UnsupportedOperationException.class, failed.getCause());
        assertThrows(
                UnsupportedOperationException.class,
                () -> client.upload(broken, 10, UploadOptions.NONE));
        client.delete(id);
    }

    @Test
    void callbacksRunOnTheExecutorAndMustNotWaitOnThreadsOfTheCore() throws Exception {
        FileId id = client.upload(CONTENT, UploadOptions.NONE);
        CompletableFuture<byte[]> chained =
                client.async().exists(id).thenApply(there -> client.download(id));
        assertArrayEquals(CONTENT, chained.get(10, TimeUnit.SECONDS));
        try (FdfsClient direct = completingOnCore()) {
            CompletableFuture<String> thread = new CompletableFuture<>();
            Thread own = Thread.currentThread();
            CallOptions options =
                    CallOptions.progress(
                            moved -> {
                                if (Thread.currentThread() == own) {
                                    return;
                                }
                                try {
                                    direct.ping();
                                    thread.complete("waited");
                                } catch (FdfsInvalidArgumentException e) {
                                    thread.complete("refused");
                                }
                            });
            boolean[] onCore = new boolean[1];
            for (int call = 0; call < 1000 && !onCore[0]; call++) {
                CompletableFuture<Throwable> told =
                        direct.async()
                                .exists(id)
                                .thenAccept(
                                        there -> {
                                            onCore[0] = Native.onCoreThread();
                                            // What is chained to a call is waited for as little.
                                            direct.async().exists(id).thenApply(is -> is).join();
                                        })
                                .handle((nothing, thrown) -> thrown);
                Throwable thrown = told.get(10, TimeUnit.SECONDS);
                assertEquals(onCore[0], thrown != null);
                if (onCore[0]) {
                    assertInstanceOf(FdfsInvalidArgumentException.class, thrown.getCause());
                }
            }
            assertTrue(onCore[0]);
            // The thread that makes the call may be told of it, too, and may wait.
            for (int call = 0; call < 1000 && !thread.isDone(); call++) {
                direct.async().download(id, options).get(10, TimeUnit.SECONDS);
            }
            assertEquals("refused", thread.get(10, TimeUnit.SECONDS));
        }
        client.delete(id);
    }

    @Test
    void callsThatEndTogetherEndEachInItsOwnWay() throws Exception {
        FileId missing = client.upload(CONTENT, UploadOptions.NONE);
        client.delete(missing);
        try (FdfsClient direct = completingOnCore()) {
            FdfsAsyncClient async = direct.async();
            List<byte[]> contents = new ArrayList<>();
            List<CompletableFuture<byte[]>> chains = new ArrayList<>();
            List<CompletableFuture<Void>> throwing = new ArrayList<>();
            List<CompletableFuture<Boolean>> cancelled = new ArrayList<>();
            List<CompletableFuture<FileInfo>> failing = new ArrayList<>();
            for (int number = 0; number < 200; number++) {
                byte[] content = ("content " + number).getBytes();
                contents.add(content);
                chains.add(async.upload(content, UploadOptions.NONE).thenCompose(async::download));
                throwing.add(
                        async.ping()
                                .thenRun(
                                        () -> {
                                            throw new IllegalStateException("mine");
                                        }));
                failing.add(async.stat(missing));
                cancelled.add(async.exists(missing));
            }
            cancelled.forEach(call -> call.cancel(true));
            for (int number = 0; number < 200; number++) {
                assertArrayEquals(
                        contents.get(number), chains.get(number).get(30, TimeUnit.SECONDS));
                assertInstanceOf(IllegalStateException.class, cause(throwing.get(number)));
                assertInstanceOf(FdfsNotFoundException.class, cause(failing.get(number)));
                assertTrue(cancelled.get(number).isDone());
            }
        }
    }

    @Test
    void whatBeginsWhereAnotherCallEndsIsCancelledAlone() throws Exception {
        FileId id = client.upload(CONTENT, UploadOptions.NONE);
        byte[] small = Arrays.copyOf(CONTENT, 4096);
        FileId other = client.upload(small, UploadOptions.NONE);
        try (FdfsClient direct = completingOnCore()) {
            FdfsAsyncClient async = direct.async();
            // This thread may be told of the end itself, when that came soon enough.
            boolean[] onCore = new boolean[1];
            int followed = 0;
            for (int round = 0; round < 1000 && followed < 100; round++) {
                List<CompletableFuture<byte[]>> both = new ArrayList<>();
                List<CompletableFuture<byte[]>> cancelled = new ArrayList<>();
                CompletableFuture<byte[]> first = async.download(other);
                CompletableFuture<Void> begun =
                        first.thenAccept(
                                content -> {
                                    // The first of them goes on where the call has ended.
                                    for (int number = 0; number < 4; number++) {
                                        CompletableFuture<byte[]> call = async.download(id);
                                        (number % 2 == 0 ? cancelled : both).add(call);
                                    }
                                    cancelled.get(0).cancel(true);
                                    onCore[0] = Native.onCoreThread();
                                });
                begun.get(30, TimeUnit.SECONDS);
                // Too late for the call, and no reason to end the one that follows it.
                first.cancel(true);
                cancelled.get(1).cancel(true);
                for (CompletableFuture<byte[]> call : both) {
                    assertArrayEquals(CONTENT, call.get(30, TimeUnit.SECONDS));
                }
                if (onCore[0]) {
                    followed++;
                    assertTrue(cancelled.get(0).isCancelled());
                }
            }
            assertTrue(followed > 0);
        }
        client.delete(id);
        client.delete(other);
    }

    @Test
    void callsThatFollowEachOtherForLongAreOneAfterTheOther() throws Exception {
        FileId id = client.upload(Arrays.copyOf(CONTENT, 10), UploadOptions.NONE);
        try (FdfsClient direct = completingOnCore()) {
            CompletableFuture<Integer> end = new CompletableFuture<>();
            new Object() {
                int calls;

                void next() {
                    direct.async()
                            .download(id)
                            .whenComplete(
                                    (content, error) -> {
                                        if (error != null) {
                                            end.completeExceptionally(error);
                                        } else if (++calls == 20_000) {
                                            end.complete(new Throwable().getStackTrace().length);
                                        } else {
                                            next();
                                        }
                                    });
                }
            }.next();
            int depth = end.get(120, TimeUnit.SECONDS);
            assertTrue(depth < 100, depth + " frames");
        }
        client.delete(id);
    }

    private static Throwable cause(CompletableFuture<?> failed) {
        return assertThrows(ExecutionException.class, () -> failed.get(30, TimeUnit.SECONDS))
                .getCause();
    }

    @Test
    void whoWaitsByItselfIsToldOnItsThreadAndMayCallAgainFromThere() {
        List<Thread> told = new ArrayList<>();
        CallOptions options =
                CallOptions.progress(
                        moved -> {
                            told.add(Thread.currentThread());
                            client.ping();
                        });
        FileId id = client.upload(CONTENT, UploadOptions.NONE, options);
        assertFalse(told.isEmpty());
        assertTrue(told.stream().allMatch(thread -> thread == Thread.currentThread()));
        client.delete(id);
    }

    @Test
    void anInterruptedThreadGoesWhetherItWaitsOrNot() throws Exception {
        for (boolean early : new boolean[] {true, false}) {
            InetAddress loopback = InetAddress.getLoopbackAddress();
            try (ServerSocket silent = new ServerSocket(0, 50, loopback);
                    FdfsClient lost =
                            FdfsClient.builder()
                                    .trackers("127.0.0.1:" + silent.getLocalPort())
                                    .build()) {
                CompletableFuture<Boolean> gone = new CompletableFuture<>();
                Runnable waiting =
                        () -> {
                            if (early) {
                                Thread.currentThread().interrupt();
                            }
                            assertThrows(CancellationException.class, lost::ping);
                            gone.complete(Thread.currentThread().isInterrupted());
                        };
                Thread caller = new Thread(waiting);
                caller.setUncaughtExceptionHandler((t, e) -> gone.completeExceptionally(e));
                caller.start();
                if (!early) {
                    silent.accept();
                    caller.interrupt();
                }
                assertTrue(gone.get(10, TimeUnit.SECONDS));
            }
        }
    }

    @Test
    void aFutureThatTimesOutEndsItsCall() {
        Slow slow = new Slow();
        CompletableFuture<FileId> call = client.async().upload(slow, 10, UploadOptions.NONE);
        RuntimeException mine = new RuntimeException("mine");
        call.completeExceptionally(mine);
        CompletionException seen = assertThrows(CompletionException.class, call::join);
        assertSame(mine, seen.getCause());
        assertFalse(Native.forget((Operation<?>) call));
        slow.goOn.countDown();
    }

    /** Keeps whoever reads it waiting. */
    private static final class Slow extends InputStream {
        final CountDownLatch reading = new CountDownLatch(1);
        final CountDownLatch goOn = new CountDownLatch(1);

        @Override
        public int read() {
            reading.countDown();
            try {
                goOn.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return 1;
        }
    }

    @Test
    void whatIsLostIsReleased() throws Exception {
        FileId id = client.upload(CONTENT, UploadOptions.NONE);
        FdfsClient other =
                FdfsClient.builder().trackers(cluster.getTrackerAddress()).build();
        FdfsInputStream in = other.open(id);
        in.read();
        // What is known of the client without keeping it.
        long before = other.poolStats().stream().mapToInt(PoolStats::getOpen).sum();
        assertTrue(before >= 2, "one to the tracker, one that reads");
        in = null;
        for (int round = 0; other.poolStats().stream().anyMatch(s -> s.getOpen() > s.getIdle()); ) {
            assertTrue(round++ < 200, "the stream is not released");
            System.gc();
            Thread.sleep(20);
        }
        other.close();
        client.delete(id);
    }

    @Test
    void theLogGoesWhereItIsWanted() {
        List<String> lines = Collections.synchronizedList(new ArrayList<>());
        FdfsLog.setSink((level, line) -> lines.add(level + " " + line));
        FdfsLog.setLevel(java.util.logging.Level.FINE);
        try {
            FileId id = client.upload(CONTENT, UploadOptions.NONE.withGroup("group1"));
            client.delete(id);
            try (FdfsClient other = FdfsClient.builder().trackers("127.0.0.1:1").build()) {
                assertThrows(FdfsException.class, other::ping);
            }
        } finally {
            FdfsLog.setLevel(java.util.logging.Level.WARNING);
            FdfsLog.setSink(FdfsLog.LOGGER::log);
        }
        assertTrue(lines.stream().anyMatch(line -> line.startsWith("FINE ")), lines.toString());
    }

    @Test
    void clustersTakeWhatMakesSense() throws Exception {
        Path file = Files.createFile(folder.resolve("file"));
        assertThrows(FdfsException.class, () -> EmbeddedCluster.start(file));
        assertThrows(
                FdfsInvalidArgumentException.class,
                () -> EmbeddedCluster.start(null, Collections.singletonMap("group1", 0)));
        try (EmbeddedCluster two =
                EmbeddedCluster.start(null, Collections.singletonMap("photos", 2))) {
            assertEquals(2, two.getStorageAddresses().size());
        }
    }

    @Test
    void adminCommandsSayWhatIsWrong() {
        assertThrows(
                FdfsNotFoundException.class,
                () -> client.admin().deleteStorage("group1", "10.9.8.7"));
        assertThrows(FdfsException.class, () -> client.admin().deleteGroup("group1"));
        ExecutionException failed =
                assertThrows(
                        ExecutionException.class,
                        () -> client.async().admin().deleteGroup("no group").get());
        assertInstanceOf(FdfsInvalidArgumentException.class, failed.getCause());
    }
}
