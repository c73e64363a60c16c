package io.github.fdfs;

import java.util.Objects;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Where the log of the native library goes: to the logger {@code fdfs} of {@code
 * java.util.logging}, or to a sink of the application's. Only warnings and errors, unless told
 * otherwise. No secret is ever logged.
 */
public final class FdfsLog {
    static final Logger LOGGER = Logger.getLogger("fdfs");

    /** Levels in the order of their numbers in the native library. */
    private static final Level[] LEVELS = {
        Level.OFF, Level.SEVERE, Level.WARNING, Level.INFO, Level.FINE, Level.FINER
    };

    private static volatile Sink sink = LOGGER::log;
    private static volatile int threshold = 2;

    private FdfsLog() {}

    /** Takes lines of the log. */
    public interface Sink {
        /**
         * Takes a line. Called on any thread, also on those of the core: it must not wait for a
         * call of this library.
         *
         * @param level how serious it is
         * @param line what happened
         */
        void log(Level level, String line);
    }

    /**
     * Sends the log elsewhere.
     *
     * @param sink gets all lines from now on
     */
    public static void setSink(Sink sink) {
        FdfsLog.sink = Objects.requireNonNull(sink, "sink");
    }

    /**
     * Sets how much is logged. It is asked for once, because logging must cost nothing where it is
     * off; loggers and sinks may leave out more.
     *
     * @param level the least serious level that is logged; {@link Level#WARNING} at first
     */
    public static void setLevel(Level level) {
        int number = 0;
        while (number + 1 < LEVELS.length && LEVELS[number + 1].intValue() >= level.intValue()) {
            number++;
        }
        threshold = number;
        Native.logLevel(number);
    }

    static int levelNumber() {
        return threshold;
    }

    static void log(int level, String line) {
        try {
            sink.log(LEVELS[level], line);
        } catch (Throwable e) {
            // A broken sink must not break calls, and there is nowhere else to tell.
            return;
        }
    }
}
