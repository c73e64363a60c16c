"""Scenarios about what a process has and leaves: memory, threads, handles, its end."""

import io
import os
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

from stage import Awaited, clients, content, folder, var

GIB = 1 << 30
MIB = 1 << 20
PIECE = 256 << 10


def _resident(name):
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith(name))
    return int(line.split()[1]) * 1024


class Ceiling:
    """The largest resident size from now on, compared with the size now."""

    def __init__(self):
        with open("/proc/self/clear_refs", "w", encoding="ascii") as refs:
            refs.write("5")
        self._before = _resident("VmRSS")

    def growth(self):
        return _resident("VmHWM") - self._before


class Long(io.RawIOBase):
    """A GiB of which every piece differs."""

    def __init__(self):
        self._block = content(PIECE)
        self.moved = self.crc32 = 0

    def readable(self):
        return True

    def read(self, size=-1):
        size = min(PIECE, GIB - self.moved, size)
        piece = (self.moved.to_bytes(8) + self._block[8:])[:size]
        self.crc32 = zlib.crc32(piece, self.crc32)
        self.moved += len(piece)
        return piece

    async def pieces(self):
        while piece := self.read(PIECE):
            yield piece


class Counting(io.RawIOBase):
    """A sink that remembers length and CRC-32."""

    def __init__(self):
        self.moved = self.crc32 = 0

    def writable(self):
        return True

    def write(self, data):
        self.crc32 = zlib.crc32(data, self.crc32)
        self.moved += len(data)
        return len(data)


def memory():
    for client in clients():
        client.delete(client.upload(content(MIB)))
        source, sink, ceiling = Long(), Counting(), Ceiling()
        if isinstance(client, Awaited):
            file_id = client.upload(source.pieces(), size=GIB)

            async def read(target, file_id=file_id, sink=sink):
                async with target.open(file_id) as reader:
                    async for piece in reader:
                        sink.write(piece)

            client.run(read)
        else:
            file_id = client.upload(source, size=GIB)
            assert client.download_to(file_id, sink) == GIB
        assert source.moved == sink.moved == GIB
        assert source.crc32 == sink.crc32 == file_id.crc32
        assert client.delete(file_id)
        assert ceiling.growth() < 64 * MIB, f"grew by {ceiling.growth() >> 20} MiB"


def _handles():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def _work():
    data = content(300_000)
    for client in clients():
        with folder() as work:
            file_id = client.upload(data)
            client.download_file(file_id, work / "back")
            client.upload_file(work / "back")
            reader = client.open(file_id)
            reader.read(10)
            reader.close()
            client.upload(io.BytesIO(data))
            client.delete(file_id)


def baseline():
    # The first client starts the threads that all clients of the process share.
    _work()
    before = _handles()
    for _ in range(3):
        _work()
        deadline = time.monotonic() + 30
        # Threads that did file work go when they have been idle for a while.
        while (now := _handles()) > before or now[1] > before[1]:
            assert time.monotonic() < deadline, f"threads and handles {now}, before {before}"
            time.sleep(0.1)


EXITING = """
import asyncio, fdfs, sys, threading, time
client, other = [
    kind(sys.argv[1], address_map={sys.argv[2]: sys.argv[3]}, group="group1", io_timeout=60)
    for kind in (fdfs.Client, fdfs.AsyncClient)
]
data = bytes(3 << 20)

def work():
    client.upload(data)

async def works():
    await asyncio.gather(*(other.upload(data) for _ in range(4)), other.upload(pieces(), size=9))

async def pieces():
    yield b"1234"
    await asyncio.sleep(60)

for _ in range(32):
    threading.Thread(target=work, daemon=True).start()
threading.Thread(target=asyncio.run, args=(works(),), daemon=True).start()
time.sleep(0.2 + float(sys.argv[4]))
"""


def _exits(wait):
    servers = [var("FDFS_TRACKER"), var("FDFS_STORAGE"), var("FDFS_STALL")]
    command = [sys.executable, "-c", EXITING, *servers, str(wait)]
    # Its calls may take 60 s: with them it would not be back in time.
    ended = subprocess.run(command, timeout=30, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, ""), ended


def exit_with_work():
    # They end at different moments between two looks at signals, twenty a second.
    with ThreadPoolExecutor(4) as four:
        list(four.map(_exits, (round * 0.00125 for round in range(40))))


SCENARIOS = [memory, baseline, exit_with_work]
