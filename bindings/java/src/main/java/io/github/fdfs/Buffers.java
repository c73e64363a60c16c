package io.github.fdfs;

import java.nio.ByteBuffer;
import java.util.concurrent.ArrayBlockingQueue;

/**
 * Direct buffers for streams. They are used again, because the memory of a lost one is only freed
 * with the next collection of garbage.
 */
final class Buffers {
    /** Bytes of a piece of a stream. */
    static final int LENGTH = 256 * 1024;

    private static final ArrayBlockingQueue<ByteBuffer> KEPT = new ArrayBlockingQueue<>(16);

    private Buffers() {}

    static ByteBuffer take() {
        ByteBuffer buffer = KEPT.poll();
        return buffer == null ? ByteBuffer.allocateDirect(LENGTH) : buffer;
    }

    /** Takes a buffer back that no call has any more. */
    static void give(ByteBuffer buffer) {
        // One too many is left to the garbage collector.
        KEPT.offer(buffer);
    }
}
