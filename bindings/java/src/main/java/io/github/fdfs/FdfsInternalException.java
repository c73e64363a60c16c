package io.github.fdfs;

/** A broken invariant of this library: please report it. */
public final class FdfsInternalException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsInternalException(Failure failure) {
        super(failure);
    }
}
