package io.github.fdfs;

/** Any other status of a server. */
public final class FdfsServerException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsServerException(Failure failure) {
        super(failure);
    }
}
