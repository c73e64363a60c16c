package io.github.fdfs;

/** A client or stream was used after it was closed. */
public final class FdfsClosedException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsClosedException(Failure failure) {
        super(failure);
    }

    FdfsClosedException(String message) {
        super(Failure.local(ErrorKind.CLOSED, message));
    }
}
