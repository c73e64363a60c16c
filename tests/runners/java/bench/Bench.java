import io.github.fdfs.FdfsAsyncClient;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FileId;
import io.github.fdfs.UploadOptions;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;

/** Measures this client: java Bench TRACKER SECONDS */
public final class Bench {
    private static final Queue<FileId> STORED = new ConcurrentLinkedQueue<>();

    private Bench() {}

    public static void main(String[] args) throws Exception {
        double seconds = Double.parseDouble(args[1]);
        // Futures complete on the threads of the core: nothing chained to them waits.
        try (FdfsClient client =
                FdfsClient.builder()
                        .trackers(args[0])
                        .poolSize(64)
                        .executor(Runnable::run)
                        .build()) {
            FdfsAsyncClient async = client.async();
            for (int size : new int[] {4096, 1048576}) {
                byte[] content = new byte[size];
                Load.measure("upload", size, 1, seconds, load -> {
                    while (!load.isOver()) {
                        STORED.add(client.upload(content, UploadOptions.NONE));
                        load.done();
                    }
                }, () -> clean(client));
                Load.measure("upload", size, 64, seconds, atATime(64, () ->
                        async.upload(content, UploadOptions.NONE).thenAccept(STORED::add)),
                        () -> clean(client));
                FileId id = client.upload(content, UploadOptions.NONE);
                Load.measure("download", size, 1, seconds, load -> {
                    while (!load.isOver()) {
                        check(client.download(id), size);
                        load.done();
                    }
                }, () -> {});
                Load.measure("download", size, 64, seconds, atATime(64, () ->
                        async.download(id).thenAccept(got -> check(got, size))), () -> {});
                client.delete(id);
            }
        }
    }

    private static void check(byte[] got, int size) {
        if (got.length != size) {
            throw new IllegalStateException(got.length + " bytes");
        }
    }

    /** So many calls under way: the end of each begins the next. */
    private static Load.Caller atATime(int count, Supplier<CompletableFuture<?>> call) {
        return load -> {
            Semaphore ended = new Semaphore(0);
            Throwable[] failure = new Throwable[1];
            for (int number = 0; number < count; number++) {
                next(load, call, ended, failure);
            }
            ended.acquire(count);
            if (failure[0] != null) {
                throw new IllegalStateException(failure[0]);
            }
        };
    }

    private static void next(
            Load load,
            Supplier<CompletableFuture<?>> call,
            Semaphore ended,
            Throwable[] failure) {
        if (load.isOver()) {
            ended.release();
            return;
        }
        call.get()
                .whenComplete(
                        (done, error) -> {
                            if (error != null) {
                                failure[0] = error;
                                ended.release();
                                return;
                            }
                            load.done();
                            next(load, call, ended, failure);
                        });
    }

    private static void clean(FdfsClient client) {
        for (FileId id; (id = STORED.poll()) != null; ) {
            client.delete(id);
        }
    }
}
