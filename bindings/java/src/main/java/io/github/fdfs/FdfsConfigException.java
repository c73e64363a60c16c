package io.github.fdfs;

/** A configuration file or option is wrong. */
public final class FdfsConfigException extends FdfsException {
    private static final long serialVersionUID = 1;

    FdfsConfigException(Failure failure) {
        super(failure);
    }
}
