import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;

/** Repeats a call, one at a time or many, and counts. */
final class Load {
    /** Makes calls until it is told to stop: whoever ends one begins the next. */
    interface Caller {
        /** Runs until {@link Load#isOver}, counting with {@link Load#done}. */
        void run(Load load) throws Exception;
    }

    /** After 2 s the virtual machine still compiles, on the processors that are measured. */
    private static final double WARM_UP_SECONDS = 6;

    private final long end;
    /** Threads do not wait for each other to count, as they do not in Rust's bench. */
    private final LongAdder calls = new LongAdder();

    private Load(double seconds) {
        end = System.nanoTime() + (long) (seconds * 1e9);
    }

    boolean isOver() {
        return System.nanoTime() >= end;
    }

    void done() {
        calls.increment();
    }

    /** Removes what a caller has stored. */
    interface Cleaner {
        /** Runs after each of the caller's runs: what is stored takes the servers' memory. */
        void clean() throws Exception;
    }

    /** Measures a caller, after a warm-up, and prints a line. */
    static void measure(
            String op, int size, int concurrency, double seconds, Caller caller, Cleaner cleaner)
            throws Exception {
        caller.run(new Load(WARM_UP_SECONDS));
        cleaner.clean();
        long start = System.nanoTime();
        long cpu = cpuNanos();
        Load load = new Load(seconds);
        caller.run(load);
        double took = (System.nanoTime() - start) / 1e9;
        double calls = load.calls.sum();
        double micros = (cpuNanos() - cpu) / 1e3 / calls;
        System.out.printf(
                Locale.ROOT,
                "%s\t%d\t%d\t%.1f\t%.1f%n",
                op,
                size,
                concurrency,
                calls / took,
                micros);
        cleaner.clean();
    }

    /** Processor time of this process. */
    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean)
                        ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    /** One caller in each of so many threads. */
    static Caller threads(int count, java.util.function.IntFunction<Caller> callers) {
        if (count == 1) {
            return callers.apply(0);
        }
        return load -> {
            CountDownLatch ended = new CountDownLatch(count);
            Throwable[] failure = new Throwable[1];
            for (int number = 0; number < count; number++) {
                Caller caller = callers.apply(number);
                new Thread(
                                () -> {
                                    try {
                                        caller.run(load);
                                    } catch (Throwable e) {
                                        failure[0] = e;
                                    }
                                    ended.countDown();
                                })
                        .start();
            }
            ended.await();
            if (failure[0] != null) {
                throw new IllegalStateException(failure[0]);
            }
        };
    }
}
