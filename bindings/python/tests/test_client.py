"""The client that waits."""

import dataclasses
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fdfs
from fdfs import Client, EmbeddedCluster


def test_any_contiguous_buffer_is_data(client: Client) -> None:
    numbers = array("I", range(1000))
    for data in (b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], numbers, b""):
        file_id = client.upload(data)
        assert client.download(file_id) == bytes(memoryview(data).cast("B"))
    with pytest.raises(fdfs.InvalidArgumentError, match="contiguous"):
        client.upload(memoryview(b"abcdef")[::2])
    with pytest.raises(fdfs.InvalidArgumentError, match="size is 4"):
        client.upload(b"abc", size=4)


def test_what_is_no_data_is_refused_with_a_hint(client: Client, tmp_path: Path) -> None:
    for data in ("text", tmp_path, 5, None, ["a"], io.StringIO("text")):
        with pytest.raises(TypeError, match=r"encode|upload_file|bytes-like|binary"):
            client.upload(data)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="writable"):
        client.download_into(client.upload(b"x"), b"read only")
    with pytest.raises(TypeError):
        client.stat(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        client.set_metadata(client.upload(b"x"), {"a": 1})  # type: ignore[dict-item]


def test_a_buffer_is_held_only_while_it_is_sent(client: Client) -> None:
    data = bytearray(b"abc")
    file_id = client.upload(data)
    data.extend(b"def")
    buffer = bytearray(3)
    assert client.download_into(file_id, buffer) == 3
    buffer.clear()


def test_a_file_object_is_read_from_its_position(client: Client) -> None:
    source = io.BytesIO(b"0123456789")
    source.seek(4)
    assert client.download(client.upload(source)) == b"456789"


def test_what_a_source_or_sink_raises_is_raised(client: Client) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise LookupError("no such luck")

        def write(self, data: object) -> int:
            raise LookupError("no such luck")

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"x" * (size + 1)

    with pytest.raises(LookupError, match="no such luck"):
        client.upload(Broken(), size=5)
    with pytest.raises(LookupError, match="no such luck"):
        client.download_to(client.upload(b"abc"), Broken())
    with pytest.raises(ValueError, match="returned"):
        client.upload(Endless(), size=5)
    client.ping()


def test_an_exception_of_progress_ends_the_call(client: Client) -> None:
    def tell(moved: int) -> None:
        raise LookupError(moved)

    with pytest.raises(LookupError):
        client.upload(bytes(1 << 20), progress=tell)
    moved: list[int] = []
    file_id = client.upload(bytes(1 << 20), progress=moved.append)
    assert moved[-1] == 1 << 20 and moved == sorted(moved)
    with pytest.raises(LookupError):
        client.download(file_id, progress=tell)


def test_reader_and_writer_are_binary_files(client: Client) -> None:
    with client.create(ext="txt") as writer:
        print("line", file=io.TextIOWrapper(writer, write_through=True), flush=True)
        assert writer.writable() and not writer.readable()
    assert writer.closed and writer.file_id.kind == "normal"
    writer.close()


def test_lines_of_a_reader(client: Client) -> None:
    file_id = client.upload(b"one\ntwo\nthree")
    with client.open(file_id) as reader:
        assert reader.readable() and reader.seekable() and not reader.writable()
        for line in reader:
            assert line == b"one\n"
            break
        assert reader.tell() == 4 and reader.readline() == b"two\n"
        assert reader.readall() == b"three" and list(reader) == []
        with pytest.raises(fdfs.InvalidArgumentError):
            reader.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)
    with io.TextIOWrapper(io.BufferedReader(client.open(file_id))) as text:
        assert text.read() == "one\ntwo\nthree"


def test_an_exception_while_writing_leaves_no_file(client: Client) -> None:
    with pytest.raises(LookupError), client.create() as writer:
        writer.write(b"half")
        raise LookupError
    assert not client.exists(writer.file_id)


def test_an_unclosed_writer_warns(client: Client) -> None:
    writer = client.create()
    with pytest.warns(ResourceWarning, match="appender"):
        del writer


def test_64_threads_share_a_client(client: Client) -> None:
    def trip(number: int) -> None:
        for size in (number, 10_000 + number):
            data = number.to_bytes(2) * size
            file_id = client.upload(data)
            assert client.download(file_id) == data
            client.delete(file_id)

    with ThreadPoolExecutor(64) as threads:
        list(threads.map(trip, range(256)))


def test_other_threads_run_while_a_call_waits(silent: str) -> None:
    with Client(silent, timeout=0.5, retries=0) as client:
        turns = 0
        waiting = threading.Thread(target=lambda: pytest.raises(fdfs.FastDFSError, client.ping))
        waiting.start()
        while waiting.is_alive():
            turns += 1
            time.sleep(0.01)
        assert turns > 20


def test_ctrl_c_ends_a_call(silent: str) -> None:
    # Who starts this in the background may have it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Client(silent, io_timeout=60) as client:
            main = threading.main_thread().ident
            assert main is not None
            threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                client.ping()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_that_is_handled_ends_nothing(client: Client, silent: str) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        with Client(silent, timeout=0.5, retries=0) as slow:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            with pytest.raises(fdfs.FastDFSError):
                slow.ping()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


FORK = """
import os, sys, fdfs
tracker = sys.argv[1]
client = fdfs.Client(tracker)
# Larger than what comes at once.
data = bytes(range(256)) * 16384
file_id = client.upload(data)

def in_child(work):
    if (child := os.fork()) == 0:
        work()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    # The connections of the parent still hear.
    assert client.download(file_id, timeout=2) == data

def use():
    try:
        client.download(file_id)
    except fdfs.ClosedError as error:
        assert "fork" in str(error), error
    else:
        os._exit(1)
    with fdfs.Client(tracker) as own:
        assert own.download(file_id) == data

def close():
    global client
    client.close()
    del client

in_child(close)
in_child(use)
reader = client.open(file_id)
in_child(reader.close)
assert reader.read() == data
"""


def test_a_forked_child_needs_a_client_of_its_own(cluster: EmbeddedCluster) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, cluster.tracker]
    ended = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


LOG = """
import logging, sys, fdfs
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
if sys.argv[2:]:
    logging.getLogger("fdfs").setLevel(logging.DEBUG)
client = fdfs.Client(["127.0.0.1:1", sys.argv[1]], token_secret="hush")
for _ in range(4):
    client.delete(client.upload(b"x"))
"""


def test_logging_is_quiet_unless_asked_for(cluster: EmbeddedCluster) -> None:
    for level, expected in (([], False), (["debug"], True)):
        command = [sys.executable, "-c", LOG, cluster.tracker, *level]
        ended = subprocess.run(command, timeout=60, capture_output=True, text=True)
        assert ended.returncode == 0 and (ended.stderr != "") == expected, ended.stderr
        lines = ended.stderr.splitlines()
        assert all(line.startswith("fdfs.") for line in lines) and "hush" not in ended.stderr
        assert not expected or any("DEBUG" in line and "tracker" in line for line in lines)
    assert logging.getLogger("fdfs").handlers == []


def test_a_storage_counts_what_its_class_says(client: Client) -> None:
    (storage,) = client.list_storages("group1")
    assert all(type(count) is int for count in dataclasses.astuple(storage.stats))


def test_an_embedded_cluster_refuses_what_it_cannot_be() -> None:
    for groups in ({}, {"g": 0}, {"g": 250, "h": 250}, {"g": 300}, {"g": -1}):
        with pytest.raises(fdfs.InvalidArgumentError):
            EmbeddedCluster(groups=groups)
    with pytest.raises((fdfs.FastDFSError, OSError)):
        EmbeddedCluster("/proc/nowhere")
