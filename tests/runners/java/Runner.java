import io.github.fdfs.ErrorKind;
import io.github.fdfs.FdfsClient;
import io.github.fdfs.FdfsException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;

/** Plays one scenario: java Runner SCENARIO */
public final class Runner {
    /** A scenario; what it throws is why it failed. */
    interface Scenario {
        void play() throws Exception;
    }

    private static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("round_trips", Anywhere::roundTrips);
        SCENARIOS.put("ranges", Anywhere::ranges);
        SCENARIOS.put("files_and_streams", Streams::filesAndStreams);
        SCENARIOS.put("appender", Anywhere::appender);
        SCENARIOS.put("slave", Anywhere::slave);
        SCENARIOS.put("metadata", Anywhere::metadata);
        SCENARIOS.put("errors", Anywhere::errors);
        SCENARIOS.put("cluster", Anywhere::cluster);
        SCENARIOS.put("concurrent", Anywhere::concurrent);
        SCENARIOS.put("ids", Vectors::ids);
        SCENARIOS.put("conf", Vectors::conf);
        SCENARIOS.put("address_widths", Faults::addressWidths);
        SCENARIOS.put("tracker_down", Faults::trackerDown);
        SCENARIOS.put("cut", Faults::cut);
        SCENARIOS.put("half_reply", Faults::halfReply);
        SCENARIOS.put("stall", Faults::stall);
        SCENARIOS.put("cancel_reuse", Faults::cancelReuse);
        SCENARIOS.put("memory", Streams::memory);
        SCENARIOS.put("baseline", Processes::baseline);
        SCENARIOS.put("exit_with_work", Processes::exitWithWork);
        SCENARIOS.put("embedded", Processes::embedded);
    }

    private Runner() {}

    public static void main(String[] args) throws Exception {
        Scenario scenario = SCENARIOS.get(args[0]);
        if (scenario == null) {
            System.err.println("no scenario " + args[0]);
            System.exit(2);
        }
        scenario.play();
        System.out.println("ok " + args[0]);
    }

    /** A variable that the stage sets. */
    static String var(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalStateException(name + " is not set: run this on the stage");
        }
        return value;
    }

    static FdfsClient client(String... trackers) {
        return FdfsClient.builder().trackers(trackers).build();
    }

    static FdfsClient client() {
        return client(var("FDFS_TRACKER"));
    }

    static void check(boolean condition, Object what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object got, Object expected) {
        check(expected.equals(got), "got " + got + ", expected " + expected);
    }

    /** The error that a call fails with, which must be of this kind and its class. */
    static FdfsException fails(ErrorKind kind, Callable<?> call) throws Exception {
        FdfsException error = fails(call);
        check(error.getKind() == kind, error);
        StringBuilder name = new StringBuilder("Fdfs");
        for (String word : kind.code().split("_")) {
            name.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
        }
        equal(error.getClass().getSimpleName(), name.append("Exception").toString());
        return error;
    }

    static FdfsException fails(Callable<?> call) throws Exception {
        Object got;
        try {
            got = call.call();
        } catch (FdfsException e) {
            return e;
        }
        throw new AssertionError("no error but " + got);
    }

    static void cancelled(Callable<?> call) throws Exception {
        Object got;
        try {
            got = call.call();
        } catch (CancellationException e) {
            return;
        }
        throw new AssertionError("not cancelled but " + got);
    }

    /** Bytes that repeat late enough to betray any misplaced piece. */
    static byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        for (int at = 0; at < length; at++) {
            bytes[at] = byteAt(at);
        }
        return bytes;
    }

    static byte byteAt(long at) {
        return (byte) (at ^ (at >> 9) ^ (at >> 17));
    }
}
