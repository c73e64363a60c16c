"""Scenarios that need nothing but servers: any, ours or the original."""

import asyncio
import io
import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import fdfs
from stage import Awaited, clients, content, folder, raises


def round_trips():
    for client in clients():
        for size in (0, 1, 262_143, 262_144, 262_145, 104_857_600):
            data = content(size)
            file_id = client.upload(data, ext="bin")
            assert isinstance(file_id, fdfs.FileId) and file_id.endswith(".bin")
            assert (file_id.kind, file_id.size) == ("normal", size)
            assert file_id.crc32 == zlib.crc32(data), size
            info = client.stat(file_id)
            assert (info.size, info.crc32) == (size, file_id.crc32)
            assert client.download(file_id) == data, size
            assert client.delete(file_id) is True
            assert client.exists(file_id) is False
            raises("not_found", lambda: client.download(file_id))


def ranges():
    data = content(1_000_000)
    for client in clients():
        file_id = client.upload(data)
        for named, expected in [
            ({"offset": 0, "length": 7}, data[:7]),
            ({"offset": 10, "length": 20}, data[10:30]),
            ({"offset": 999_990}, data[999_990:]),
            ({"offset": 999_990, "length": 1000}, data[999_990:]),
            ({"offset": -5}, data[-5:]),
            ({"offset": -500_000, "length": 300_000}, data[500_000:800_000]),
            ({"offset": 1_000_000}, b""),
            ({"offset": 0, "length": 0}, b""),
        ]:
            assert client.download(file_id, **named) == expected, named
        raises("invalid_argument", lambda: client.download(file_id, offset=1_000_001))
        raises("invalid_argument", lambda: client.download(file_id, length=-1))
        buffer = bytearray(100)
        assert client.download_into(file_id, buffer, offset=7) == 100
        assert buffer == data[7:107]
        assert client.download_into(file_id, memoryview(buffer)[10:60], offset=999_980) == 20
        assert buffer[10:30] == data[999_980:] and buffer[30:] == data[37:107]
        client.delete(file_id)


class Unsized(io.RawIOBase):
    """A stream that tells no size."""

    def __init__(self, data):
        self._left = memoryview(data)

    def readable(self):
        return True

    def read(self, size=-1):
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)


def files_and_streams():
    data = content(9_000_000)
    for client in clients():
        with folder() as work:
            local, back = work / "a.tar.gz", work / "b"
            local.write_bytes(data)
            moved = []
            file_id = client.upload_file(local, progress=moved.append)
            assert file_id.endswith(".tar.gz") and moved[-1] == len(data)
            assert client.download_file(file_id, back) == len(data)
            assert back.read_bytes() == data
            assert client.download_file(file_id, str(back), offset=-3) == 3
            assert back.read_bytes() == data[-3:]
            assert sorted(os.listdir(work)) == ["a.tar.gz", "b"], "no file beside"
            error = raises("local_io", lambda: client.upload_file(work / "none"))
            assert isinstance(error, FileNotFoundError), error
            with local.open("rb") as source:
                source.seek(1000)
                again = client.upload(source)
            assert client.stat(again).size == len(data) - 1000
            sink = io.BytesIO()
            assert client.download_to(again, sink) == len(data) - 1000
            assert sink.getvalue() == data[1000:]
            client.delete(again)
        _reading(client, file_id, data)
        client.delete(file_id)
        _streams(client, data)


def _reading(client, file_id, data):
    reader = client.open(file_id)
    assert reader.size == len(data)
    assert reader.read(300) == data[:300]
    assert reader.seek(8_999_000) == 8_999_000
    assert reader.read(10) == data[8_999_000:8_999_010] and reader.tell() == 8_999_010
    assert reader.seek(-5, io.SEEK_END) == len(data) - 5
    assert reader.read() == data[-5:] and reader.read(1) == b""
    buffer = bytearray(1 << 20)
    reader.seek(1)
    assert reader.readinto(buffer) == 1 << 20 and buffer == data[1 : (1 << 20) + 1]
    reader.close()
    if not isinstance(client, Awaited):
        with client.open(file_id, offset=100, length=1_000_000) as part:
            assert b"".join(part) == data[100:1_000_100]
        with client.open(file_id) as raw, io.BufferedReader(raw, 1 << 16) as buffered:
            assert buffered.read(100_000) == data[:100_000]
        return

    async def by_pieces(target):
        async with target.open(file_id, offset=100, length=1_000_000) as part:
            return [piece async for piece in part]

    pieces = client.run(by_pieces)
    assert b"".join(pieces) == data[100:1_000_100] and len(pieces) == 4


def _streams(client, data):
    # Larger than what is kept in memory, and of unknown size.
    def unsized():
        return Unsized(data)

    def sized(size):
        return Unsized(data[:size])

    if isinstance(client, Awaited):

        def unsized():
            return _pieces(data, 70_000)

        def sized(size):
            return _pieces(data[:size], 333)

    file_id = client.upload(unsized(), ext="bin")
    assert client.download(file_id) == data
    client.delete(file_id)
    file_id = client.upload(sized(100_000), size=100_000)
    assert client.download(file_id) == data[:100_000]
    for size in (99_999, 100_001, 0, 400_000):
        raises("local_io", lambda size=size: client.upload(sized(100_000), size=size))
        assert client.download(file_id) == data[:100_000], "the client goes on"
    client.delete(file_id)

    class Broken(Unsized):
        def read(self, size=-1):
            raise OSError(5, "the disk is gone")

    error = raises("local_io", lambda: client.upload(Broken(b""), size=10))
    assert error.errno == 5 and "the disk is gone" in str(error)


async def _pieces(data, size):
    for start in range(0, len(data), size):
        yield data[start : start + size]


def appender():
    for client in clients():
        file_id = client.upload(b"one", ext="log", appender=True)
        assert (file_id.kind, file_id.size) == ("appender", None)
        client.append(file_id, b" two")
        client.append(file_id, b"")
        client.modify(file_id, 0, bytearray(b"ONE"))
        client.truncate(file_id, 5)
        client.truncate(file_id, 5)
        assert client.download(file_id) == b"ONE t"
        assert client.stat(file_id).size == 5
        client.append(file_id, io.BytesIO(b"hree"))
        client.modify(file_id, 4, io.BytesIO(b"T"))
        assert client.download(file_id) == b"ONE Three"
        client.truncate(file_id)
        assert client.download(file_id) == b""
        client.append(file_id, b"12345")
        normal = client.finalize(file_id)
        assert (normal.kind, normal.size) == ("normal", 5)
        assert not client.exists(file_id)
        client.delete(normal)

        data = content(700_000)
        writer = client.create(ext="txt", metadata={"from": "writer"})
        for start in range(0, len(data), 99_999):
            piece = data[start : start + 99_999]
            assert writer.write(piece) == len(piece)
        writer.close()
        assert writer.file_id.kind == "normal" and writer.file_id.endswith(".txt")
        assert client.download(writer.file_id) == data
        assert client.get_metadata(writer.file_id) == {"from": "writer"}
        client.delete(writer.file_id)

        writer = client.create(finalize=False)
        writer.write(b"given up")
        writer.flush()
        assert client.download(writer.file_id) == b"given up"
        writer.abort()
        assert not client.exists(writer.file_id)


def slave():
    for client in clients():
        master = client.upload(b"master", ext="jpg")
        file_id = client.upload_slave(master, "_big", b"slave", ext="jpg")
        assert file_id == master.slave("_big", "jpg") and file_id.kind == "slave"
        assert client.download(file_id) == b"slave"
        again = {"data": io.BytesIO(b"slave"), "ext": "jpg"}
        error = raises("already_exists", lambda: client.upload_slave(master, "_big", **again))
        assert isinstance(error, FileExistsError)
        client.delete(file_id)
        client.delete(master)


def metadata():
    for client in clients():
        first = {"author": "Åse 木", "width": "160"}
        file_id = client.upload(b"x", ext="png", metadata=first)
        assert client.get_metadata(file_id) == first
        client.set_metadata(file_id, {"width": "80", "a": ""}, merge=True)
        assert client.get_metadata(file_id) == {"author": "Åse 木", "width": "80", "a": ""}
        client.set_metadata(file_id, {"only": "1"})
        assert client.get_metadata(file_id) == {"only": "1"}
        client.set_metadata(file_id, {})
        assert client.get_metadata(file_id) == {}
        client.set_metadata(file_id, {"木" * 21: "木" * 85})
        for bad in ({"a" * 65: ""}, {"a": "b" * 257}, {"": "x"}, {"a\x01": "b"}, {"a": "\x02"}):
            raises("invalid_argument", lambda bad=bad: client.set_metadata(file_id, bad))
            raises("invalid_argument", lambda bad=bad: client.upload(b"x", metadata=bad))
        client.delete(file_id)


def errors():
    for client in clients():
        file_id = client.upload(b"x", ext="txt")
        client.delete(file_id)
        assert client.delete(file_id, missing_ok=True) is False
        for call in (client.delete, client.download, client.stat, client.get_metadata):
            error = raises("not_found", lambda call=call: call(file_id))
            assert isinstance(error, FileNotFoundError | fdfs.NotFoundError)
            assert (error.errno, error.file_id) == (2, file_id), error
            assert ":" in error.server and error.command and not error.outcome_unknown
        elsewhere = f"nogroup/{file_id.path}"
        error = raises("no_server", lambda: client.stat(elsewhere))
        assert (error.errno, error.file_id, error.retryable) == (2, elsewhere, True)
        assert error.server, error
        raises("no_server", lambda: client.upload(b"x", group="nogroup"))
        for bad in (f"/{file_id}", f"http://h/{file_id}", file_id.path, "", "group1"):
            assert isinstance(
                raises("invalid_argument", lambda bad=bad: client.stat(bad)), ValueError
            )
        raises("invalid_argument", lambda: client.upload(b"x", ext="toolong"))
        raises("invalid_argument", lambda: client.upload(b"x", ext=".txt"))
        client.close()
        client.close()
        for call in (lambda: client.upload(b"x"), lambda: client.stat(file_id), client.ping):
            raises("closed", call)


def cluster():
    for client in clients():
        groups = client.list_groups()
        assert groups and all(group.total_mb > 0 for group in groups), groups
        group = groups[0].name
        storages = client.list_storages(group)
        active = [storage for storage in storages if storage.status == "ACTIVE"]
        assert active and all(storage.total_mb > 0 for storage in storages), storages
        assert client.list_storages(group, active[0].id) == active[:1]
        assert active[0].joined.utcoffset().total_seconds() == 0
        trackers = client.list_trackers()
        assert trackers and all(tracker.alive for tracker in trackers), trackers
        client.ping()
        target = client.pick_upload(group)
        assert target.group == group and target == client.pick_upload(group)
        file_id = client.upload(b"x", group=group)
        located = client.locate(file_id)
        assert len(located) == 1 and located[0] in client.locate(file_id, all=True)
        busy = raises("busy", lambda: client.admin.delete_storage(group, active[0].id))
        assert busy.retryable
        client.delete(file_id)
        stats = client.pool_stats()
        assert len(stats) >= 2 and all(stat.created >= 1 for stat in stats), stats


def concurrent():
    def data(number):
        return f"content {number} ".encode() * (number + 1)

    for client in clients():
        if isinstance(client, Awaited):

            async def trip(target, number):
                file_id = await target.upload(data(number), ext="txt")
                assert await target.download(file_id) == data(number)
                await target.delete(file_id)

            async def trips(target):
                await asyncio.gather(*(trip(target, number) for number in range(200)))

            client.run(trips)
            continue

        def trip(number, client=client):
            file_id = client.upload(data(number), ext="txt")
            assert client.download(file_id) == data(number)
            client.delete(file_id)

        with ThreadPoolExecutor(200) as threads:
            list(threads.map(trip, range(200)))


SCENARIOS = [
    round_trips,
    ranges,
    files_and_streams,
    appender,
    slave,
    metadata,
    errors,
    cluster,
    concurrent,
]
