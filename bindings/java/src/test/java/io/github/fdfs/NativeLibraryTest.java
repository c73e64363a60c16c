package io.github.fdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each case in a Java of its own: a library is loaded once. */
class NativeLibraryTest {
    @TempDir Path folder;

    /** Prints the version, which needs the library. */
    public static final class Version {
        private Version() {}

        public static void main(String[] args) {
            System.out.println("version " + FdfsClient.version());
        }
    }

    private static Path jar() throws Exception {
        return origin(FdfsClient.class);
    }

    /** The jar or folder that a class is from. */
    private static Path origin(Class<?> type) throws Exception {
        return Paths.get(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    }

    private static String run(Path jar, String... options) throws Exception {
        Path tests = origin(Version.class);
        List<String> command = new ArrayList<>();
        command.add(System.getProperty("java.home") + "/bin/java");
        command.addAll(Arrays.asList(options));
        command.addAll(Arrays.asList("-cp", jar + java.io.File.pathSeparator + tests));
        command.add(Version.class.getName());
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try (InputStream in = process.getInputStream();
                Scanner scanner = new Scanner(in, "UTF-8").useDelimiter("\\A")) {
            String text = scanner.hasNext() ? scanner.next() : "";
            assertTrue(process.waitFor(20, TimeUnit.SECONDS), "it hangs");
            return text;
        }
    }

    /** The library out of the jar, or beside the classes. */
    private Path extracted() throws Exception {
        String name = System.mapLibraryName("fdfs_java");
        Path library = folder.resolve(name);
        if (Files.isDirectory(jar())) {
            Files.copy(find(jar(), name), library, StandardCopyOption.REPLACE_EXISTING);
        } else {
            try (FileSystem files = FileSystems.newFileSystem(jar(), (ClassLoader) null)) {
                Path found = find(files.getPath("/native"), name);
                Files.copy(found, library, StandardCopyOption.REPLACE_EXISTING);
            }
        }
        return library;
    }

    private static Path find(Path from, String name) throws IOException {
        try (Stream<Path> all = Files.walk(from)) {
            return all.filter(path -> path.endsWith(name)).findFirst().get();
        }
    }

    @Test
    void theBundledLibraryIsExtractedToAFolderThatGoesAtOnce() throws Exception {
        Path tmp = Files.createDirectory(folder.resolve("tmp"));
        String expected = "version " + FdfsClient.version();
        assertEquals(expected, run(jar(), "-Dfdfs.native.tmpdir=" + tmp).trim());
        try (Stream<Path> left = Files.list(tmp)) {
            assertEquals(0, left.count());
        }
    }

    @Test
    void aPropertyAndTheLibraryPathCountMore() throws Exception {
        String expected = "version " + FdfsClient.version();
        Path library = extracted();
        String nowhere = "-Dfdfs.native.tmpdir=" + folder.resolve("none");
        assertEquals(expected, run(jar(), nowhere, "-Dfdfs.native.path=" + library).trim());
        assertEquals(
                expected, run(jar(), nowhere, "-Djava.library.path=" + library.getParent()).trim());
        String none = run(jar(), "-Dfdfs.native.path=" + folder.resolve("none.so"));
        assertTrue(none.contains("UnsatisfiedLinkError"), none);
        String noFolder = run(jar(), nowhere);
        assertTrue(noFolder.contains("extracting the native library"), noFolder);
    }

    @Test
    void aDamagedLibraryIsNotLoaded() throws Exception {
        if (Files.isDirectory(jar())) {
            return; // Only a jar can be damaged like this; check.sh tests one.
        }
        Path damaged = folder.resolve("damaged.jar");
        Files.copy(jar(), damaged);
        try (FileSystem files = FileSystems.newFileSystem(damaged, (ClassLoader) null)) {
            Path library = find(files.getPath("/native"), System.mapLibraryName("fdfs_java"));
            byte[] bytes = Files.readAllBytes(library);
            bytes[bytes.length / 2] ^= 1;
            Files.write(library, bytes);
        }
        String text = run(damaged);
        assertTrue(text.contains("SHA-256"), text);
        Path empty = folder.resolve("empty.jar");
        Files.copy(jar(), empty);
        try (FileSystem files = FileSystems.newFileSystem(empty, (ClassLoader) null)) {
            Files.delete(find(files.getPath("/native"), System.mapLibraryName("fdfs_java")));
        }
        text = run(empty);
        assertTrue(text.contains("fdfs.native.path"), text);
    }
}
