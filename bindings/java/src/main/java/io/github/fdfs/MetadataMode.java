package io.github.fdfs;

/** What happens to metadata that a file has already. */
public enum MetadataMode {
    /** It is removed; the file has only what is set now. */
    OVERWRITE,
    /** Items that are not named now stay. */
    MERGE
}
