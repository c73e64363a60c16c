package io.github.fdfs;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class UnderwayTest {
    private final Underway underway = new Underway();

    private Operation<?> put(long number) {
        Operation<?> operation = new Operation<>(number, (count, value) -> value, null, null);
        underway.put(operation);
        return operation;
    }

    private void remove(Operation<?> operation) {
        assertSame(operation, underway.get(operation.number));
        assertSame(operation, underway.remove(operation.number));
        assertNull(underway.remove(operation.number), "removed twice");
        assertNull(underway.get(operation.number));
    }

    @Test
    void operationsOfOnePlaceAreToldApart() {
        List<Operation<?>> operations = new ArrayList<>();
        for (long number = 7; number < 5 * Underway.PLACES; number += Underway.PLACES) {
            operations.add(put(number));
            operations.add(put(-number));
        }
        assertNull(underway.get(7 + 5 * Underway.PLACES));
        assertNull(underway.remove(7 + 5 * Underway.PLACES));
        // Those in the map, the one in the array, and one that came to its place later.
        remove(operations.get(6));
        remove(operations.get(0));
        Operation<?> later = put(7 + 6 * Underway.PLACES);
        operations.subList(1, 6).forEach(this::remove);
        operations.subList(7, operations.size()).forEach(this::remove);
        remove(later);
    }
}
