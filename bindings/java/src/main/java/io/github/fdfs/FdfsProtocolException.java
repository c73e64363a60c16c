package io.github.fdfs;

/** The reply breaks the protocol, or the connection ended inside of it. */
public final class FdfsProtocolException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsProtocolException(Failure failure) {
        super(failure);
    }
}
