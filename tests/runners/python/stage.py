"""The servers to play on, and the two clients that every scenario is played with."""

import asyncio
import contextlib
import inspect
import os
import random
import shutil
import tempfile
from pathlib import Path

import fdfs

_pattern = random.Random(7)


def content(size):
    """Bytes that betray any misplaced piece."""
    return _pattern.randbytes(size)


def var(name):
    return os.environ[name]


@contextlib.contextmanager
def folder():
    """An empty folder of its own."""
    made = Path(tempfile.mkdtemp(dir=var("FDFS_DIR")))
    try:
        yield made
    finally:
        shutil.rmtree(made)


class Awaited:
    """Something of asyncio, with every answer waited for: scenarios are written once."""

    def __init__(self, target, loop):
        self._target = target
        self._loop = loop

    def _settle(self, value):
        if inspect.isawaitable(value):

            async def settled():
                return await value

            value = self._loop.run_until_complete(settled())
        if isinstance(value, fdfs.AsyncReader | fdfs.AsyncWriter | fdfs.AsyncAdmin):
            return Awaited(value, self._loop)
        return value

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if not callable(value):
            return self._settle(value)
        return lambda *args, **named: self._settle(value(*args, **named))

    def run(self, make):
        """Runs a coroutine made from the client itself."""
        return self._loop.run_until_complete(make(self._target))


@contextlib.contextmanager
def _client(kind, *args, **options):
    if kind == "sync":
        with fdfs.Client(*args, **options) as client:
            yield client
        return
    loop = asyncio.new_event_loop()
    try:
        client = Awaited(fdfs.AsyncClient(*args, **options), loop)
        yield client
        client.close()
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def clients(trackers=None, **options):
    """One client after the other: the one that waits, and the one that is awaited."""
    for kind in ("sync", "async"):
        with _client(kind, trackers or var("FDFS_TRACKER"), **options) as client:
            yield client


def behind(fault, **options):
    """Clients whose storage is the one that misbehaves under this name."""
    options = {"io_timeout": 0.5, "group": "group1"} | options
    return clients(address_map={var("FDFS_STORAGE"): var(fault)}, **options)


def raises(kind, call):
    """The error of this kind that the call raises; fails when it raises none, or another."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    try:
        result = call()
    except (fdfs.FastDFSError, OSError) as error:
        got = getattr(error, "kind", "local_io")
        assert got in kinds, f"{got} instead of {kind}: {error!r}"
        return error
    raise AssertionError(f"no {kind} but {result!r}")
