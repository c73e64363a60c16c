package io.github.fdfs;

/** What a file is, as its name tells. */
public enum FileKind {
    /** A file of its own. */
    NORMAL,
    /** A file that may be appended to. */
    APPENDER,
    /** A file named after a master. */
    SLAVE,
    /** A file within a trunk file; to applications a normal one. */
    TRUNK
}
