package io.github.fdfs;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;

/** Finds and loads the native library. */
final class NativeLibrary {
    private static final String NAME = "fdfs_java";

    private NativeLibrary() {}

    /** Loads it: from where a property says, from {@code java.library.path}, or from the jar. */
    static void load() {
        String path = System.getProperty("fdfs.native.path");
        if (path != null) {
            System.load(new File(path).getAbsolutePath());
            return;
        }
        try {
            System.loadLibrary(NAME);
            return;
        } catch (UnsatisfiedLinkError e) {
            if (!String.valueOf(e.getMessage()).contains("java.library.path")) {
                throw e; // It is there but does not load; another one would hide that.
            }
        }
        UnsatisfiedLinkError failed = null;
        for (String platform : platforms()) {
            try {
                if (loadBundled(platform)) {
                    return;
                }
            } catch (UnsatisfiedLinkError e) {
                failed = e;
            } catch (IOException e) {
                failed = new UnsatisfiedLinkError("extracting the native library: " + e);
                failed.initCause(e);
            }
        }
        if (failed == null) {
            failed =
                    new UnsatisfiedLinkError(
                            "this fdfs-client jar has no native library for "
                                    + platforms()[0]
                                    + "; name one in the system property fdfs.native.path");
        }
        throw failed;
    }

    /** This platform's folders in the jar, the likely one first: names may be as good as its. */
    private static String[] platforms() {
        String system = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        String machine = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
        String arch = machine.equals("amd64") ? "x86_64" : machine;
        arch = arch.equals("arm64") ? "aarch64" : arch;
        if (system.startsWith("mac")) {
            return new String[] {"macos-" + arch};
        }
        if (system.startsWith("windows")) {
            return new String[] {"windows-" + arch};
        }
        String gnu = "linux-" + arch;
        String musl = gnu + "-musl";
        boolean isMusl = new File("/lib/ld-musl-" + arch + ".so.1").exists();
        return isMusl ? new String[] {musl, gnu} : new String[] {gnu, musl};
    }

    private static boolean loadBundled(String platform) throws IOException {
        String file = System.mapLibraryName(NAME);
        String resource = "/native/" + platform + "/" + file;
        try (InputStream in = NativeLibrary.class.getResourceAsStream(resource);
                InputStream sum = NativeLibrary.class.getResourceAsStream(resource + ".sha256")) {
            if (in == null || sum == null) {
                return false;
            }
            Path folder = privateFolder();
            Path library = folder.resolve(file);
            try {
                Files.copy(in, library);
                String expected = new String(read(sum), StandardCharsets.US_ASCII).trim();
                if (!sha256(Files.readAllBytes(library)).equals(expected)) {
                    throw new UnsatisfiedLinkError(resource + " is damaged: another SHA-256");
                }
                System.load(library.toAbsolutePath().toString());
            } finally {
                remove(library);
                remove(folder);
            }
            return true;
        }
    }

    /** A folder that nobody else may write to. */
    private static Path privateFolder() throws IOException {
        String folder = System.getProperty("fdfs.native.tmpdir");
        return folder == null
                ? Files.createTempDirectory("fdfs-native-")
                : Files.createTempDirectory(Paths.get(folder), "fdfs-native-");
    }

    private static void remove(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // Where a loaded library cannot be deleted, it goes when the process ends.
            path.toFile().deleteOnExit();
        }
    }

    private static byte[] read(InputStream in) throws IOException {
        byte[] bytes = new byte[64];
        int length = 0;
        for (int n; length < bytes.length; length += n) {
            n = in.read(bytes, length, bytes.length - length);
            if (n < 0) {
                break;
            }
        }
        return java.util.Arrays.copyOf(bytes, length);
    }

    private static String sha256(byte[] bytes) {
        try {
            StringBuilder text = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-256").digest(bytes)) {
                text.append(String.format("%02x", b));
            }
            return text.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
