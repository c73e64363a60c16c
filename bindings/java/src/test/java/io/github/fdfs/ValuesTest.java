package io.github.fdfs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class ValuesTest {
    private static final String TEXT = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml";

    @Test
    void aFileIdTellsWhatItsNameSays() {
        FileId id = FileId.parse(TEXT);
        assertEquals("group1", id.getGroup());
        assertEquals("M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml", id.getPath());
        assertEquals(0, id.getStorePathIndex());
        assertEquals(FileKind.NORMAL, id.getKind());
        assertEquals(Optional.of("192.168.71.127"), id.getSource());
        assertEquals(Optional.of(Instant.ofEpochSecond(1421779644)), id.getCreatedAt());
        assertEquals(OptionalLong.of(1242), id.getSize());
        assertEquals(OptionalLong.of(0xe465_2640L), id.getCrc32());
        assertEquals(
                "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126_big.xml",
                id.slave("_big", "xml").toString());
        assertThrows(FdfsInvalidArgumentException.class, () -> id.slave("", "xml"));
        assertThrows(NullPointerException.class, () -> FileId.parse(null));
    }

    @Test
    void fileIdsAreValues() throws Exception {
        FileId id = FileId.parse(TEXT);
        assertEquals(id, FileId.of(TEXT));
        assertEquals(id.hashCode(), FileId.of(TEXT).hashCode());
        assertTrue(id.compareTo(id.slave("_big", "xml")) < 0);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(id);
        }
        try (ObjectInputStream in =
                new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            FileId again = (FileId) in.readObject();
            assertEquals(id, again);
            assertEquals(OptionalLong.of(1242), again.getSize());
        }
    }

    @Test
    void recordsAreEqualWhenTheirPartsAre() {
        String[] fields = {"1242", "1421779644", "7", "10.0.0.1", "NORMAL"};
        FileInfo info = new FileInfo(new Fields(fields));
        assertEquals(info, new FileInfo(new Fields(fields.clone())));
        assertEquals(info.hashCode(), new FileInfo(new Fields(fields.clone())).hashCode());
        assertEquals(
                "FileInfo{size=1242, modified=2015-01-20T18:47:24Z, crc32=7, sourceIp=10.0.0.1,"
                        + " kind=NORMAL}",
                info.toString());
        fields[0] = "1243";
        assertNotEquals(info, new FileInfo(new Fields(fields)));
        assertNotEquals(info, null);
    }

    @Test
    void optionsThatMakeNoSenseAreRefused() {
        for (Duration wrong : new Duration[] {Duration.ZERO, Duration.ofMillis(-1)}) {
            assertThrows(FdfsInvalidArgumentException.class, () -> CallOptions.timeout(wrong));
            assertThrows(
                    FdfsInvalidArgumentException.class,
                    () -> FdfsClient.builder().ioTimeout(wrong));
        }
        assertEquals(
                Long.MAX_VALUE,
                CallOptions.timeout(Duration.ofSeconds(Long.MAX_VALUE)).timeoutNanos());
        UploadOptions none = UploadOptions.NONE;
        assertThrows(FdfsInvalidArgumentException.class, () -> none.withStorePathIndex(256));
        assertThrows(FdfsInvalidArgumentException.class, () -> none.withStorePathIndex(-1));
        assertThrows(
                FdfsInvalidArgumentException.class, () -> FdfsClient.builder().poolSize(0));
        assertThrows(
                FdfsInvalidArgumentException.class, () -> FdfsClient.builder().retries(-1));
        assertThrows(
                FdfsConfigException.class, () -> FdfsClient.builder().trackers("a:b:c:").build());
        assertThrows(
                FdfsConfigException.class,
                () -> FdfsClient.builder().trackers("h").mapAddress("a:x", "b").build());
    }

    @Test
    void optionsDoNotChangeWithWhatTheyWereMadeFrom() {
        Map<String, String> items = new HashMap<>(Collections.singletonMap("a", "1"));
        UploadOptions how = UploadOptions.ext("txt").withMetadata(items);
        items.put("b", "2");
        assertEquals(Collections.singletonMap("a", "1"), how.metadata);
        assertEquals("txt", how.withGroup("group1").withAppender().ext);
    }

    @Test
    void urlsHaveATokenWhenThereIsASecret() {
        FileId id = FileId.parse(TEXT);
        try (FdfsClient client = FdfsClient.builder().trackers("h").build()) {
            URI url = client.httpUrl(id, "https://f.example/");
            assertEquals("https://f.example/" + TEXT, url.toString());
        }
        try (FdfsClient client =
                FdfsClient.builder().trackers("h").tokenSecret("FastDFS1234567890").build()) {
            URI url =
                    client.httpUrl(id, "http://f", "ä b", Instant.ofEpochSecond(1421779644));
            assertEquals(
                    "http://f/"
                            + TEXT
                            + "?token=139264990029522f5526fce246a172fe&ts=1421779644"
                            + "&filename=%C3%A4%20b",
                    url.toString());
        }
    }
}
