package io.github.fdfs;

import java.time.Instant;

/** What a storage knows of a file. Immutable. */
public final class FileInfo extends Value {
    private final long size;
    private final Instant modified;
    private final long crc32;
    private final String sourceIp;
    private final FileKind kind;

    FileInfo(Fields fields) {
        size = fields.number();
        modified = fields.time();
        crc32 = fields.number();
        sourceIp = fields.text();
        kind = FileKind.valueOf(fields.text());
    }

    /**
     * The size of the file.
     *
     * @return bytes
     */
    public long getSize() {
        return size;
    }

    /**
     * When the file changed last.
     *
     * @return the moment, to the second
     */
    public Instant getModified() {
        return modified;
    }

    /**
     * The CRC-32 of the content.
     *
     * @return 0 to 2^32 - 1
     */
    public long getCrc32() {
        return crc32;
    }

    /**
     * The storage it was uploaded to.
     *
     * @return its address; empty when unknown
     */
    public String getSourceIp() {
        return sourceIp;
    }

    /**
     * What the file is.
     *
     * @return the kind
     */
    public FileKind getKind() {
        return kind;
    }

    @Override
    Object[] parts() {
        return new Object[] {
            "size", size,
            "modified", modified,
            "crc32", crc32,
            "sourceIp", sourceIp,
            "kind", kind
        };
    }
}
