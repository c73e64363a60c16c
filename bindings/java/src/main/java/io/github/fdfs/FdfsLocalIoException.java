package io.github.fdfs;

/**
 * Reading the source or writing the sink on this side failed; its cause is the {@link
 * java.io.IOException}.
 */
public final class FdfsLocalIoException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsLocalIoException(Failure failure) {
        super(failure);
    }

    FdfsLocalIoException(String message, java.io.IOException cause) {
        super(Failure.local(ErrorKind.LOCAL_IO, message));
        initCause(cause);
    }
}
