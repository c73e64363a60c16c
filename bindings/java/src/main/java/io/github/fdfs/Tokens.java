package io.github.fdfs;

import java.util.Objects;

/** Tokens that web fronts ask for in the URLs of files. */
public final class Tokens {
    private Tokens() {}

    /**
     * The token of a file. The group is no part of it, as the module for nginx wants it.
     *
     * @param id the file
     * @param unixSeconds the moment it is made for; the front refuses it once its own {@code
     *     token_ttl} has passed since then
     * @param secret the secret shared with the front
     * @return 32 hexadecimal digits
     */
    public static String make(FileId id, long unixSeconds, String secret) {
        Objects.requireNonNull(secret, "secret");
        String text = id.toString();
        Operation.Answer<String> answer = (count, value) -> (String) value;
        return Operation.start(answer, op -> Native.token(op, text, unixSeconds, secret)).await();
    }
}
