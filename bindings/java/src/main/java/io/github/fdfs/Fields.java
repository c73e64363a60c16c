package io.github.fdfs;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Reads the fields of records in the order in which the native library wrote them. */
final class Fields {
    private final String[] texts;
    private int at;

    Fields(Object value) {
        texts = (String[]) value;
    }

    /** All records of an answer. */
    static <T> List<T> list(Object value, Function<Fields, T> read) {
        Fields fields = new Fields(value);
        List<T> list = new ArrayList<>();
        while (fields.at < fields.texts.length) {
            list.add(read.apply(fields));
        }
        return Collections.unmodifiableList(list);
    }

    /** Names and values in turn. */
    static Map<String, String> map(Object value) {
        Fields fields = new Fields(value);
        Map<String, String> map = new LinkedHashMap<>();
        while (fields.at < fields.texts.length) {
            map.put(fields.text(), fields.text());
        }
        return Collections.unmodifiableMap(map);
    }

    String text() {
        return texts[at++];
    }

    int count() {
        return Integer.parseInt(text());
    }

    long number() {
        return Long.parseLong(text());
    }

    /** A number that may be missing. */
    Long optionalNumber() {
        String text = text();
        return text == null ? null : Long.valueOf(text);
    }

    boolean flag() {
        return Boolean.parseBoolean(text());
    }

    Instant time() {
        return Instant.ofEpochSecond(number());
    }

    /** A moment that may be missing. */
    Instant optionalTime() {
        Long seconds = optionalNumber();
        return seconds == null ? null : Instant.ofEpochSecond(seconds);
    }
}
