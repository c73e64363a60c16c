package io.github.fdfs;

/** Not allowed, or a bad token. */
public final class FdfsPermissionException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsPermissionException(Failure failure) {
        super(failure);
    }
}
