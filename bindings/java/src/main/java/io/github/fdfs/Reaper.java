package io.github.fdfs;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Releases what the native library keeps for objects: when they are closed, or when they are lost.
 */
final class Reaper {
    private static final ReferenceQueue<Object> LOST = new ReferenceQueue<>();
    private static final Set<Held> ALL = ConcurrentHashMap.newKeySet();

    static {
        Thread thread = new Thread(Reaper::run, "fdfs-reaper");
        thread.setDaemon(true);
        thread.start();
    }

    private Reaper() {}

    /** Releases the number once, by hand or when the owner has been lost. */
    static Held watch(Object owner, long number) {
        Held held = new Held(owner, number);
        ALL.add(held);
        return held;
    }

    private static void run() {
        for (; ; ) {
            try {
                ((Held) LOST.remove()).release();
            } catch (InterruptedException e) {
                // Nobody has a reason to; lost objects still have to be released.
                continue;
            }
        }
    }

    static final class Held extends PhantomReference<Object> {
        private final long number;

        private Held(Object owner, long number) {
            super(owner, LOST);
            this.number = number;
        }

        /** Whether it was not released before. */
        boolean release() {
            if (!ALL.remove(this)) {
                return false;
            }
            Native.release(number);
            return true;
        }
    }
}
