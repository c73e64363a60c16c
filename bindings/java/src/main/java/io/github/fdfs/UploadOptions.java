package io.github.fdfs;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** What an upload is told. Immutable: each method returns other options. */
public final class UploadOptions {
    /** Nothing in particular: a normal file, wherever the tracker wants it. */
    public static final UploadOptions NONE =
            new UploadOptions(null, Collections.emptyMap(), null, -1, false);

    final String ext;
    final Map<String, String> metadata;
    final String group;
    final int storePathIndex;
    final boolean appender;

    private UploadOptions(
            String ext,
            Map<String, String> metadata,
            String group,
            int storePathIndex,
            boolean appender) {
        this.ext = ext;
        this.metadata = metadata;
        this.group = group;
        this.storePathIndex = storePathIndex;
        this.appender = appender;
    }

    /**
     * With an extension; see {@link #withExt}.
     *
     * @param ext up to 6 characters, without the dot
     * @return options with it
     */
    public static UploadOptions ext(String ext) {
        return NONE.withExt(ext);
    }

    /**
     * With an extension. Without one, a local file gives its own; other sources have none.
     *
     * @param ext up to 6 characters, without the dot; what does not fit is refused by the call
     * @return options with it
     */
    public UploadOptions withExt(String ext) {
        Objects.requireNonNull(ext, "ext");
        return new UploadOptions(ext, metadata, group, storePathIndex, appender);
    }

    /**
     * With metadata to set once the file is stored. When only that fails, the exception carries the
     * file's id.
     *
     * @param metadata names of up to 64 and values of up to 256 bytes of UTF-8
     * @return options with it
     */
    public UploadOptions withMetadata(Map<String, String> metadata) {
        Map<String, String> copy = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
        return new UploadOptions(ext, copy, group, storePathIndex, appender);
    }

    /**
     * With the group to upload to; otherwise the client's, or one that the tracker chooses.
     *
     * @param group its name
     * @return options with it
     */
    public UploadOptions withGroup(String group) {
        Objects.requireNonNull(group, "group");
        return new UploadOptions(ext, metadata, group, storePathIndex, appender);
    }

    /**
     * With the store path to upload to; otherwise the tracker chooses.
     *
     * @param storePathIndex 0 to 255
     * @return options with it
     * @throws FdfsInvalidArgumentException when it is out of range
     */
    public UploadOptions withStorePathIndex(int storePathIndex) {
        if (storePathIndex < 0 || storePathIndex > 255) {
            throw new FdfsInvalidArgumentException("store path " + storePathIndex + ": 0 to 255");
        }
        return new UploadOptions(ext, metadata, group, storePathIndex, appender);
    }

    /**
     * For a file that can grow: an appender file.
     *
     * @return options with it
     */
    public UploadOptions withAppender() {
        return new UploadOptions(ext, metadata, group, storePathIndex, true);
    }

    /** Metadata as the native library wants it: names and values in turn. */
    static String[] items(Map<String, String> metadata) {
        String[] items = new String[2 * metadata.size()];
        int at = 0;
        for (Map.Entry<String, String> item : metadata.entrySet()) {
            items[at++] = Objects.requireNonNull(item.getKey(), "metadata name");
            items[at++] = Objects.requireNonNull(item.getValue(), "metadata value");
        }
        return items;
    }
}
