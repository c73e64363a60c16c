package io.github.fdfs;

/** No space is left on the storages. */
public final class FdfsNoSpaceException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsNoSpaceException(Failure failure) {
        super(failure);
    }
}
