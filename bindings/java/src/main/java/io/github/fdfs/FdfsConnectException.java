package io.github.fdfs;

/** No connection: refused, unreachable, or the name did not resolve. */
public final class FdfsConnectException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsConnectException(Failure failure) {
        super(failure);
    }
}
