package io.github.fdfs;

import java.io.IOException;
import java.util.concurrent.CancellationException;

/** All that is known of an error, on its way into an exception. */
final class Failure {
    final ErrorKind kind;
    final String message;
    final String server;
    final int command;
    final String fileId;
    final int errno;
    final boolean retryable;
    final boolean outcomeUnknown;
    private final String cause;

    Failure(
            ErrorKind kind,
            String message,
            String server,
            int command,
            String fileId,
            int errno,
            boolean retryable,
            boolean outcomeUnknown,
            String cause) {
        this.kind = kind;
        this.message = message;
        this.server = server;
        this.command = command;
        this.fileId = fileId;
        this.errno = errno;
        this.retryable = retryable;
        this.outcomeUnknown = outcomeUnknown;
        this.cause = cause;
    }

    /** An error found on this side. */
    static Failure local(ErrorKind kind, String message) {
        return new Failure(kind, message, null, -1, null, 0, kind.isRetryable(), false, null);
    }

    /**
     * The exception of its kind.
     *
     * @param localCause what failed on this side, if something did
     */
    RuntimeException toException(Throwable localCause) {
        RuntimeException exception =
                kind == ErrorKind.CANCELLED ? new CancellationException(message) : kind.make(this);
        if (localCause != null && kind == ErrorKind.LOCAL_IO) {
            exception.initCause(localCause);
        } else if (cause != null) {
            boolean io = kind == ErrorKind.LOCAL_IO || kind == ErrorKind.CONNECT;
            exception.initCause(io ? new IOException(cause) : new Exception(cause));
        }
        return exception;
    }
}
