package io.github.fdfs;

/** The request is malformed: refused here, or by the server. */
public final class FdfsInvalidArgumentException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsInvalidArgumentException(Failure failure) {
        super(failure);
    }

    FdfsInvalidArgumentException(String message) {
        super(Failure.local(ErrorKind.INVALID_ARGUMENT, message));
    }
}
