package io.github.fdfs;

/** The tracker has no storage for this request, or no server can be reached. */
public final class FdfsNoServerException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsNoServerException(Failure failure) {
        super(failure);
    }
}
