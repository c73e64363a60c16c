package io.github.fdfs;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Operations under way, by number.
 *
 * <p>Numbers follow each other, so that each mostly has a place of its own in an array, where it
 * costs no memory and is not searched for. Where the place is still taken by an operation that has
 * been under way for long, a map takes it.
 */
final class Underway {
    /** A power of two: the last bits of a number say its place. */
    static final int PLACES = 4096;

    /** Odd. Numbers that follow each other are in use at once, and lie far apart in memory. */
    private static final int STRIDE = 61;

    private final AtomicReferenceArray<Operation<?>> places = new AtomicReferenceArray<>(PLACES);
    private final Map<Long, Operation<?>> others = new ConcurrentHashMap<>();

    private static int place(long number) {
        return (int) (number * STRIDE) & (PLACES - 1);
    }

    void put(Operation<?> operation) {
        if (!places.compareAndSet(place(operation.number), null, operation)) {
            others.put(operation.number, operation);
        }
    }

    /** Null when there is none. */
    Operation<?> get(long number) {
        Operation<?> operation = places.get(place(number));
        return operation != null && operation.number == number ? operation : others.get(number);
    }

    /** Null when there is none, or somebody else has removed it. */
    Operation<?> remove(long number) {
        int place = place(number);
        Operation<?> operation = places.get(place);
        if (operation == null || operation.number != number) {
            return others.remove(number);
        }
        return places.compareAndSet(place, operation, null) ? operation : null;
    }
}
