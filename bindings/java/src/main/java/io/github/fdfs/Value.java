package io.github.fdfs;

import java.util.Arrays;

/** Equality and printing of immutable values. */
abstract class Value {
    /** Names and values of all parts in turn. */
    abstract Object[] parts();

    @Override
    public final boolean equals(Object other) {
        return other != null
                && getClass() == other.getClass()
                && Arrays.equals(parts(), ((Value) other).parts());
    }

    @Override
    public final int hashCode() {
        return Arrays.hashCode(parts());
    }

    @Override
    public final String toString() {
        StringBuilder text = new StringBuilder(getClass().getSimpleName()).append('{');
        Object[] parts = parts();
        for (int at = 0; at < parts.length; at += 2) {
            text.append(at == 0 ? "" : ", ").append(parts[at]).append('=').append(parts[at + 1]);
        }
        return text.append('}').toString();
    }
}
