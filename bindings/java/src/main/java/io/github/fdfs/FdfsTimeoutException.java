package io.github.fdfs;

/** One of the clocks ran out; the message names which. */
public final class FdfsTimeoutException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsTimeoutException(Failure failure) {
        super(failure);
    }
}
