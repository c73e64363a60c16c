package io.github.fdfs;

import java.io.Serializable;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The id of a stored file, such as {@code group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml}.
 * Immutable. Reading one asks no server.
 */
public final class FileId implements Comparable<FileId>, Serializable {
    private static final long serialVersionUID = 1;

    /** The whole id. */
    private final String text;

    /** What the text says; read when it is asked for. */
    private transient volatile View view;

    private FileId(String text) {
        this.text = text;
    }

    /** An id that the core has checked. */
    static FileId of(String text) {
        return new FileId(text);
    }

    /**
     * Reads an id.
     *
     * @param text group and name, without a leading slash; no URL
     * @return the id
     * @throws FdfsInvalidArgumentException when it is none; the message has a hint
     */
    public static FileId parse(String text) {
        FileId id = new FileId(Objects.requireNonNull(text, "text"));
        id.view();
        return id;
    }

    private View view() {
        View known = view;
        if (known == null) {
            Operation.Answer<View> answer = (count, value) -> new View(new Fields(value));
            known = Operation.start(answer, op -> Native.parse(op, text)).await();
            view = known;
        }
        return known;
    }

    /**
     * The group.
     *
     * @return the part before the first slash
     */
    public String getGroup() {
        return view().group;
    }

    /**
     * The name within the group.
     *
     * @return such as {@code M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml}
     */
    public String getPath() {
        return view().path;
    }

    /**
     * The store path of the storage.
     *
     * @return its index, from 0 on
     */
    public int getStorePathIndex() {
        return view().storePathIndex;
    }

    /**
     * What kind of file the name says it is.
     *
     * @return the kind
     */
    public FileKind getKind() {
        return view().kind;
    }

    /**
     * Where the file was uploaded to. A slave's describes its master.
     *
     * @return address or id of the storage, when the name tells
     */
    public Optional<String> getSource() {
        return Optional.ofNullable(view().source);
    }

    /**
     * When the file was stored. A slave's describes its master.
     *
     * @return the moment, to the second, when the name tells
     */
    public Optional<Instant> getCreatedAt() {
        return Optional.ofNullable(view().createdAt);
    }

    /**
     * The size of the file.
     *
     * @return bytes; empty for appender and slave files, whose names do not tell
     */
    public OptionalLong getSize() {
        return view().size;
    }

    /**
     * The CRC-32 of the content.
     *
     * @return 0 to 2^32 - 1; empty for appender and slave files, whose names do not tell
     */
    public OptionalLong getCrc32() {
        return view().crc32;
    }

    /**
     * The id of this file's slave, whether it exists or not.
     *
     * @param prefix what is put before the extension, 1 to 16 characters
     * @param ext extension without the dot, up to 6 characters; empty for none
     * @return the slave's id
     * @throws FdfsInvalidArgumentException when they make no name
     */
    public FileId slave(String prefix, String ext) {
        Objects.requireNonNull(prefix, "prefix");
        Objects.requireNonNull(ext, "ext");
        Operation.Answer<FileId> answer = (count, value) -> of((String) value);
        return Operation.start(answer, op -> Native.slaveId(op, text, prefix, ext)).await();
    }

    @Override
    public int compareTo(FileId other) {
        return text.compareTo(other.text);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FileId && text.equals(((FileId) other).text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    /**
     * The whole id.
     *
     * @return what {@link #parse} reads
     */
    @Override
    public String toString() {
        return text;
    }

    private static final class View {
        final String group;
        final String path;
        final int storePathIndex;
        final FileKind kind;
        final String source;
        final Instant createdAt;
        final OptionalLong size;
        final OptionalLong crc32;

        View(Fields fields) {
            group = fields.text();
            path = fields.text();
            storePathIndex = fields.count();
            kind = FileKind.valueOf(fields.text());
            source = fields.text();
            createdAt = fields.optionalTime();
            size = optional(fields.optionalNumber());
            crc32 = optional(fields.optionalNumber());
        }

        private static OptionalLong optional(Long number) {
            return number == null ? OptionalLong.empty() : OptionalLong.of(number);
        }
    }
}
