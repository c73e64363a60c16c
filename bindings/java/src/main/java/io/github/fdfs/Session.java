package io.github.fdfs;

/** The native client, shared by the objects that use it; closed when all of them are lost. */
final class Session {
    final long number;
    private final Reaper.Held held;

    Session(long number) {
        this.number = number;
        held = Reaper.watch(this, number);
    }

    void close() {
        held.release();
    }
}
