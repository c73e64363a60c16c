package io.github.fdfs;

/** The server is busy. */
public final class FdfsBusyException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsBusyException(Failure failure) {
        super(failure);
    }
}
