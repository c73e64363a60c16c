package io.github.fdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;

class ErrorsTest {
    private static Failure failure(ErrorKind kind, String cause) {
        return new Failure(kind, "text", "h:1", 11, "group1/M00/x", 22, true, true, cause);
    }

    /** {@code no_server} becomes {@code FdfsNoServerException}. */
    private static String className(String code) {
        StringBuilder name = new StringBuilder("Fdfs");
        for (String word : code.split("_")) {
            name.append(word.substring(0, 1).toUpperCase(Locale.ROOT)).append(word.substring(1));
        }
        return name.append("Exception").toString();
    }

    @Test
    void everyKindOfTheTableHasItsExceptionHere() throws IOException {
        List<String> lines = Files.readAllLines(Paths.get("../../tests/vectors/errors.tsv"));
        ErrorKind[] kinds = ErrorKind.values();
        assertEquals(lines.size() - 1, kinds.length);
        for (int at = 0; at < kinds.length; at++) {
            String[] row = lines.get(at + 1).split("\t", -1);
            ErrorKind kind = kinds[at];
            assertEquals(row[0], kind.code());
            assertEquals(Integer.parseInt(row[1]), kind.number());
            assertEquals(Boolean.parseBoolean(row[2]), kind.isRetryable());
            assertSame(kind, ErrorKind.of(row[0]));
            RuntimeException exception = failure(kind, null).toException(null);
            if (kind == ErrorKind.CANCELLED) {
                assertInstanceOf(CancellationException.class, exception);
            } else {
                assertEquals(className(row[0]), exception.getClass().getSimpleName());
                assertSame(kind, ((FdfsException) exception).getKind());
            }
        }
    }

    @Test
    void theCoreHasTheSameTable() {
        Operation.Answer<String[]> answer = (count, value) -> (String[]) value;
        String[] about = Operation.start(answer, Native::about).await();
        assertEquals(1 + 3 * ErrorKind.values().length, about.length);
        for (ErrorKind kind : ErrorKind.values()) {
            int at = 1 + 3 * kind.ordinal();
            assertEquals(kind.code(), about[at]);
            assertEquals(kind.number(), Integer.parseInt(about[at + 1]));
            assertEquals(kind.isRetryable(), Boolean.parseBoolean(about[at + 2]));
        }
        assertEquals(FdfsClient.version(), about[0]);
    }

    @Test
    void anExceptionTellsAllThatIsKnown() {
        FdfsException all =
                (FdfsException) failure(ErrorKind.SERVER, "why").toException(new IOException());
        assertEquals("text", all.getMessage());
        assertEquals(Optional.of("h:1"), all.getServer());
        assertEquals(OptionalInt.of(11), all.getCommand());
        assertEquals(OptionalInt.of(22), all.getErrno());
        assertEquals("group1/M00/x", all.getFileId().get().toString());
        assertTrue(all.isRetryable() && all.isOutcomeUnknown());
        assertEquals("why", all.getCause().getMessage());
        FdfsException none = new FdfsClosedException("closed");
        assertFalse(none.getServer().isPresent() || none.getFileId().isPresent());
        assertFalse(none.getCommand().isPresent() || none.getErrno().isPresent());
        assertFalse(none.isRetryable() || none.isOutcomeUnknown());
    }

    @Test
    void theCauseOfAFailureOnThisSideIsTheApplicationsOwn() {
        IOException mine = new IOException("mine");
        RuntimeException local = failure(ErrorKind.LOCAL_IO, "text of it").toException(mine);
        assertSame(mine, local.getCause());
        RuntimeException disk = failure(ErrorKind.LOCAL_IO, "disk").toException(null);
        assertInstanceOf(IOException.class, disk.getCause());
    }

    @Test
    void aKindOfANewerCoreIsInternal() {
        assertSame(ErrorKind.INTERNAL, ErrorKind.of("brand_new"));
    }
}
