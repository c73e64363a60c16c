package io.github.fdfs;

/** The server does not offer this. */
public final class FdfsUnsupportedException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsUnsupportedException(Failure failure) {
        super(failure);
    }
}
