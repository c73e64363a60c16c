package io.github.fdfs;

/** The file, or its metadata, does not exist. */
public final class FdfsNotFoundException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsNotFoundException(Failure failure) {
        super(failure);
    }
}
