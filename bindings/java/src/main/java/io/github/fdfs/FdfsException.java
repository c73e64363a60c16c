package io.github.fdfs;

import java.util.Optional;
import java.util.OptionalInt;

/**
 * What calls fail with. There is a subclass for each {@link ErrorKind}; a call that was cancelled
 * ends with {@link java.util.concurrent.CancellationException} instead.
 */
public class FdfsException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** What went wrong. */
    private final ErrorKind kind;

    /** The server that was asked, or null. */
    private final String server;

    /** The number of the command, or -1. */
    private final int command;

    /** The file, or null. */
    private final String fileId;

    /** The status of the server, or 0. */
    private final int errno;

    /** Whether the same call may succeed later or elsewhere. */
    private final boolean retryable;

    /** Whether the server may have done the work. */
    private final boolean outcomeUnknown;

    FdfsException(Failure failure) {
        super(failure.message);
        kind = failure.kind;
        server = failure.server;
        command = failure.command;
        fileId = failure.fileId;
        errno = failure.errno;
        retryable = failure.retryable;
        outcomeUnknown = failure.outcomeUnknown;
    }

    /**
     * What went wrong.
     *
     * @return the kind
     */
    public ErrorKind getKind() {
        return kind;
    }

    /**
     * The server that was asked.
     *
     * @return {@code host:port}, when a server was involved
     */
    public Optional<String> getServer() {
        return Optional.ofNullable(server);
    }

    /**
     * The command that failed.
     *
     * @return its number in the protocol, when one was sent
     */
    public OptionalInt getCommand() {
        return command < 0 ? OptionalInt.empty() : OptionalInt.of(command);
    }

    /**
     * The file that the call was about, or that was stored before the call failed.
     *
     * @return its id, when it is known
     */
    public Optional<FileId> getFileId() {
        return Optional.ofNullable(fileId).map(FileId::of);
    }

    /**
     * The status that the server sent.
     *
     * @return an errno value as on Linux, when a server sent one
     */
    public OptionalInt getErrno() {
        return errno == 0 ? OptionalInt.empty() : OptionalInt.of(errno);
    }

    /**
     * Whether the same call may succeed later or elsewhere.
     *
     * @return false when repeating it makes no sense or may do the work twice
     */
    public boolean isRetryable() {
        return retryable;
    }

    /**
     * Whether the server may have done the work although no answer came: an upload may have left a
     * file nobody knows the id of.
     *
     * @return true when it is not known
     */
    public boolean isOutcomeUnknown() {
        return outcomeUnknown;
    }
}
