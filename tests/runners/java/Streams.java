import io.github.fdfs.ErrorKind;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsException;
import io.github.fdfs.FdfsInputStream;
import io.github.fdfs.FileId;
import io.github.fdfs.UploadOptions;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.OptionalLong;
import java.util.zip.CRC32;

/** Scenarios with local files and streams. */
final class Streams {
    private static final long GIB = 1L << 30;
    private static final long GROWTH_MAX = 64L << 20;

    private Streams() {}

    static void filesAndStreams() throws Exception {
        try (FdfsClient client = Runner.client()) {
            Path folder = Files.createTempDirectory(Paths.get(Runner.var("FDFS_DIR")), "java");
            Path from = folder.resolve("a.tar.gz");
            Path to = folder.resolve("b");
            byte[] content = Runner.bytes(9_000_000);
            Files.write(from, content);
            FileId id = client.upload(from, UploadOptions.NONE);
            Runner.check(id.getPath().endsWith(".tar.gz"), id);
            Runner.equal(client.downloadTo(id, to), 9_000_000L);
            Runner.check(Arrays.equals(Files.readAllBytes(to), content), "the file");
            try (java.util.stream.Stream<Path> files = Files.list(folder)) {
                Runner.equal(files.count(), 2L);
            }
            client.delete(id);

            InputStream unknown = new ByteArrayInputStream(content);
            FileId streamed = client.upload(unknown, -1, UploadOptions.NONE);
            Runner.equal(streamed.getSize(), OptionalLong.of(9_000_000));
            ByteArrayOutputStream sink = new ByteArrayOutputStream();
            Runner.equal(client.downloadTo(streamed, sink), 9_000_000L);
            Runner.check(Arrays.equals(sink.toByteArray(), content), "the stream");
            seek(client, streamed, content);
            client.delete(streamed);
            wrongSizes(client);
        }
    }

    private static void seek(FdfsClient client, FileId id, byte[] content) throws IOException {
        try (FdfsInputStream in = client.open(id)) {
            Runner.equal(in.length(), 9_000_000L);
            for (int at : new int[] {0, 8_999_000, 5, 300, 4_000_000, 4_100_000, 9_000_000}) {
                in.seek(at);
                byte[] got = new byte[1000];
                int length = 0;
                for (int n; length < 1000 && (n = in.read(got, length, 1000 - length)) >= 0; ) {
                    length += n;
                }
                int end = Math.min(at + 1000, content.length);
                byte[] expected = Arrays.copyOfRange(content, at, end);
                Runner.check(Arrays.equals(Arrays.copyOf(got, length), expected), "at " + at);
                Runner.equal(in.position(), (long) end);
            }
            Runner.equal(in.read(), -1);
            in.seek(0);
            Runner.equal(in.skip(100), 100L);
            Runner.equal(in.read(), content[100] & 0xff);
        }
        byte[] tail = new byte[100];
        try (InputStream in = client.open(id, 8_999_900, 1000)) {
            Runner.equal(in.read(tail), 100);
            Runner.equal(in.read(), -1);
        }
        Runner.check(Arrays.equals(tail, client.download(id, -100, 100)), "tail");
    }

    private static void wrongSizes(FdfsClient client) throws Exception {
        for (int length : new int[] {0, 1000, 1_000_000}) {
            for (int by : new int[] {-1, 1}) {
                if (length + by < 0) {
                    continue;
                }
                InputStream in = new ByteArrayInputStream(Runner.bytes(length));
                FdfsException error =
                        Runner.fails(
                                ErrorKind.LOCAL_IO,
                                () -> client.upload(in, length + by, UploadOptions.NONE));
                Runner.check(!error.isRetryable(), error);
            }
        }
        IOException broken = new IOException("the disk is on fire");
        InputStream failing =
                new InputStream() {
                    @Override
                    public int read() throws IOException {
                        throw broken;
                    }
                };
        FdfsException error =
                Runner.fails(
                        ErrorKind.LOCAL_IO, () -> client.upload(failing, 10, UploadOptions.NONE));
        Runner.check(error.getCause() == broken, error.getCause());
        FileId id = client.upload("on".getBytes(StandardCharsets.UTF_8), UploadOptions.NONE);
        OutputStream full =
                new OutputStream() {
                    @Override
                    public void write(int b) throws IOException {
                        throw broken;
                    }
                };
        error = Runner.fails(ErrorKind.LOCAL_IO, () -> client.downloadTo(id, full));
        Runner.check(error.getCause() == broken, error.getCause());
        Runner.equal(new String(client.download(id), StandardCharsets.UTF_8), "on");
        client.delete(id);
    }

    /** Bytes by their position; none is kept. */
    private static final class Made extends InputStream {
        private final long length;
        private final CRC32 crc = new CRC32();
        private long at;

        Made(long length) {
            this.length = length;
        }

        @Override
        public int read() {
            throw new UnsupportedOperationException("byte by byte is too slow here");
        }

        @Override
        public int read(byte[] bytes, int offset, int room) {
            int count = (int) Math.min(room, length - at);
            for (int i = 0; i < count; i++) {
                bytes[offset + i] = Runner.byteAt(at + i);
            }
            crc.update(bytes, offset, count);
            at += count;
            return count == 0 ? -1 : count;
        }
    }

    private static final class Summed extends OutputStream {
        private final CRC32 crc = new CRC32();

        @Override
        public void write(int b) {
            crc.update(b);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) {
            crc.update(bytes, offset, length);
        }
    }

    private static void through(FdfsClient client, long length) {
        Made made = new Made(length);
        FileId id = client.upload(made, length, UploadOptions.NONE);
        Summed summed = new Summed();
        Runner.equal(client.downloadTo(id, summed), length);
        Runner.equal(summed.crc.getValue(), made.crc.getValue());
        client.delete(id);
    }

    static void memory() throws IOException {
        try (FdfsClient client = Runner.client()) {
            through(client, 1 << 20);
            long before = resident("VmRSS");
            through(client, GIB);
            // The highest there ever was: nothing can hide between two looks.
            long grown = resident("VmHWM") - before;
            System.out.println("the resident size has grown by " + (grown >> 20) + " MiB");
            Runner.check(grown < GROWTH_MAX, "grown by " + (grown >> 20) + " MiB");
        }
    }

    private static long resident(String field) throws IOException {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
            if (line.startsWith(field + ":")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
            }
        }
        throw new IOException("no " + field);
    }
}
