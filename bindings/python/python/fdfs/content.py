"""What content can come from and go to."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK = 256 * 1024
"""Bytes that are asked of a file object at once."""

Progress = Callable[[int], object]
"""Told how many bytes have moved so far. What it raises ends the call."""


class BinaryReader(Protocol):
    """A binary file object to read from."""

    def read(self, size: int, /) -> bytes | None:
        """Some bytes; none at the end."""


class BinaryWriter(Protocol):
    """A binary file object to write to."""

    def write(self, data: bytes, /) -> object:
        """Takes bytes; returns how many, or `None` for all."""


class AsyncBinaryReader(Protocol):
    """A file object whose `read` is awaited, such as `asyncio.StreamReader`."""

    async def read(self, size: int, /) -> bytes:
        """Some bytes; none at the end."""
        ...


class AsyncBinaryWriter(Protocol):
    """A file object whose `write` is awaited."""

    async def write(self, data: bytes, /) -> object:
        """Takes bytes; returns how many, or `None` for all."""
        ...


if TYPE_CHECKING:
    Data = Buffer | BinaryReader
    AsyncData = Data | AsyncBinaryReader | AsyncIterable[Buffer]
    Sink = BinaryWriter
    AsyncSink = BinaryWriter | AsyncBinaryWriter | asyncio.StreamWriter


def is_buffer(data: object) -> bool:
    """Whether the content is in memory."""
    if isinstance(data, bytes):
        return True
    try:
        memoryview(data).release()  # type: ignore[arg-type]  # asked whether it is one
    except TypeError:
        return False
    return True


def size_of(data: object, size: int | None) -> int | None:
    """How much there is to send: as told, or what a file object has from its position on; `None`
    when nobody knows."""
    if isinstance(data, io.TextIOBase):
        raise TypeError("the source must be opened in binary mode")
    if size is not None or is_buffer(data):
        return size
    seek: Callable[..., int] | None = getattr(data, "seek", None)
    tell: Callable[[], int] | None = getattr(data, "tell", None)
    if seek is None or tell is None or inspect.iscoroutinefunction(seek):
        return None
    try:
        position = tell()
        end = seek(0, io.SEEK_END)
        seek(position)
    except (OSError, ValueError, TypeError):
        return None
    # Some file objects return nothing from seek.
    known: object = end
    return max(end - position, 0) if isinstance(known, int) else None


def is_stream(data: object) -> bool:
    """Whether the content must be fetched piece by piece."""
    return not is_buffer(data) and (hasattr(data, "read") or hasattr(data, "__aiter__"))


async def pieces(source: Any) -> AsyncIterator[Any]:
    """The content of a source, piece by piece; plain file objects are read on another thread."""
    read = getattr(source, "read", None)
    if inspect.iscoroutinefunction(read):
        while piece := await read(CHUNK):
            yield piece
    elif hasattr(source, "__aiter__"):
        async for piece in source:
            yield piece
    else:
        while True:
            piece = await asyncio.to_thread(source.read, CHUNK)
            if piece is None:
                raise BlockingIOError("the source has no data yet")
            if not piece:
                return
            yield piece


async def write_piece(sink: Any, piece: bytes) -> None:
    """Gives a piece to a sink, all of it; plain file objects are written on another thread."""
    if hasattr(sink, "drain"):
        # A StreamWriter collects, and says when that is too much.
        sink.write(piece)
        await sink.drain()
        return
    write: Callable[[bytes], Any] = sink.write
    awaited = inspect.iscoroutinefunction(write)
    while piece:
        pending: Awaitable[Any] = write(piece) if awaited else asyncio.to_thread(write, piece)
        written: int | None = await pending
        if written is None:
            return
        if not 0 < written <= len(piece):
            raise ValueError(f"write of the sink returned {written}")
        piece = piece[written:]
