package io.github.fdfs;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;

/** What went wrong, in the terms an application can act on. Each has an exception of its own. */
public enum ErrorKind {
    /** The file, or its metadata, does not exist. */
    NOT_FOUND(1, false, FdfsNotFoundException::new),
    /** The tracker has no storage for this request, or no server can be reached. */
    NO_SERVER(2, true, FdfsNoServerException::new),
    /** The file exists already. */
    ALREADY_EXISTS(3, false, FdfsAlreadyExistsException::new),
    /** The request is malformed: refused here, or by the server. */
    INVALID_ARGUMENT(4, false, FdfsInvalidArgumentException::new),
    /** No space left on the storages. */
    NO_SPACE(5, false, FdfsNoSpaceException::new),
    /** Not allowed, or a bad token. */
    PERMISSION(6, false, FdfsPermissionException::new),
    /** The server is busy. */
    BUSY(7, true, FdfsBusyException::new),
    /** The server does not offer this. */
    UNSUPPORTED(8, false, FdfsUnsupportedException::new),
    /** No connection: refused, unreachable, or the name did not resolve. */
    CONNECT(9, true, FdfsConnectException::new),
    /** One of the clocks ran out; the message names which. */
    TIMEOUT(10, true, FdfsTimeoutException::new),
    /** The reply breaks the protocol, or the connection ended inside of it. */
    PROTOCOL(11, false, FdfsProtocolException::new),
    /** Any other status of a server. */
    SERVER(12, false, FdfsServerException::new),
    /** Reading the source or writing the sink on this side failed. */
    LOCAL_IO(13, false, FdfsLocalIoException::new),
    /** A configuration file or option is wrong. */
    CONFIG(14, false, FdfsConfigException::new),
    /** A client or stream was used after it was closed. */
    CLOSED(15, false, FdfsClosedException::new),
    /** A broken invariant of this library. */
    INTERNAL(16, false, FdfsInternalException::new),
    /** The caller gave up. Its exception is {@link java.util.concurrent.CancellationException}. */
    CANCELLED(17, false, null);

    private static final Map<String, ErrorKind> BY_CODE = new HashMap<>();

    static {
        for (ErrorKind kind : values()) {
            BY_CODE.put(kind.code(), kind);
        }
    }

    private final int number;
    private final boolean retryable;
    private final Function<Failure, FdfsException> exception;

    ErrorKind(int number, boolean retryable, Function<Failure, FdfsException> exception) {
        this.number = number;
        this.retryable = retryable;
        this.exception = exception;
    }

    /** The kind with this code; one that a newer core knows is {@link #INTERNAL} here. */
    static ErrorKind of(String code) {
        return BY_CODE.getOrDefault(code, INTERNAL);
    }

    FdfsException make(Failure failure) {
        return exception.apply(failure);
    }

    /**
     * The stable name, the same in all languages.
     *
     * @return such as {@code not_found}
     */
    public String code() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }

    /**
     * The stable number, the same in all languages.
     *
     * @return 1 for {@link #NOT_FOUND}, and so on
     */
    public int number() {
        return number;
    }

    /**
     * Whether the same call may succeed later or elsewhere without any change to it.
     *
     * @return what holds unless the outcome of the call is unknown
     */
    public boolean isRetryable() {
        return retryable;
    }
}
