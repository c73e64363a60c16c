package io.github.fdfs;

/** The file exists already. */
public final class FdfsAlreadyExistsException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsAlreadyExistsException(Failure failure) {
        super(failure);
    }
}
