"""Files of `fdfs.AsyncClient` that are read or written piece by piece, and what they share with
it: how answers reach an event loop."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from . import _native
from .content import CHUNK
from .types import FileId

if TYPE_CHECKING:
    from typing_extensions import Buffer

_T = TypeVar("_T")


async def wait(pending: _T) -> _T:
    """The answer of a native call for an event loop. Such a call returns not its answer, but a
    future for it and the task behind it: leaving early, for whatever reason, ends the task."""
    future, task = cast("tuple[asyncio.Future[_T], _native.Task]", pending)
    try:
        return await future
    finally:
        task.cancel()


class Loops:
    """Where the calls of one client answer to: it may serve several event loops."""

    def __init__(self) -> None:
        self._known: dict[asyncio.AbstractEventLoop, _native.EventLoop] = {}

    def current(self) -> _native.EventLoop:
        running = asyncio.get_running_loop()
        known = self._known.get(running)
        if known is None:
            # Other threads may do the same at this moment.
            for loop in list(self._known):
                if loop.is_closed():
                    self._known.pop(loop, None)
            known = self._known[running] = _native.EventLoop(running)
        return known


class Opening(Generic[_T]):
    """A file about to be opened: `await` it, or enter it with `async with`."""

    def __init__(self, opening: Coroutine[Any, Any, _T]) -> None:
        self._opening = opening
        self._opened: Any = None

    def __await__(self) -> Generator[Any, Any, _T]:
        return self._opening.__await__()

    async def __aenter__(self) -> _T:
        self._opened = await self._opening
        return cast(_T, self._opened)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._opened.__aexit__(kind, error, traceback)


class AsyncReader:
    """A file, or a part of one, open for reading; made by `AsyncClient.open`.

    `async for` gives its content in pieces of 256 KiB. Memory does not grow with the file. A read
    that is cancelled has read nothing: the next one begins where it began.
    """

    def __init__(self, file: _native.OpenFile, file_id: FileId, loops: Loops) -> None:
        self._file = file
        self._loops = loops
        self._position = 0
        self._adrift = False
        self.file_id = file_id
        """The file."""

    @property
    def size(self) -> int:
        """Bytes of the part that was opened; positions count from its first one."""
        return self._file.size

    async def _read(self, start: Callable[[], _T]) -> _T:
        # A read that was cancelled may have ended before it heard of that.
        if self._adrift:
            await self.seek(self._position)
        try:
            return await wait(start())
        except asyncio.CancelledError:
            self._adrift = True
            raise

    async def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes, fewer only at the end; all that is left without a size."""
        left = max(self.size - self._position, 0)
        wanted = left if size < 0 else min(size, left)
        content = await self._read(lambda: self._file.read(self._loops.current(), wanted))
        self._position += len(content)
        return content

    async def readinto(self, buffer: Buffer, /) -> int:
        """Fills the buffer with the next bytes and returns how many; fewer only at the end."""
        read = await self._read(lambda: self._file.readinto(self._loops.current(), buffer))
        self._position += read
        return read

    async def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Continues elsewhere; returns the position."""
        if whence == io.SEEK_CUR:
            offset, whence = offset + self._position, io.SEEK_SET
        seeking = self._file.seek(self._loops.current(), offset, whence)
        self._position = await wait(seeking)
        self._adrift = False
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    async def close(self) -> None:
        """Ends reading; closes the connection if the file was not read to its end."""
        await wait(self._file.close(self._loops.current()))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read(CHUNK):
            yield piece

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<fdfs.AsyncReader {str(self.file_id)!r}>"


class AsyncWriter:
    """A file that is written piece by piece; made by `AsyncClient.create`.

    `close` ends the file, and so does the `async with` block; an exception in the block, or
    `abort`, deletes what has been sent. Pieces are collected to 256 KiB.
    """

    def __init__(self, file: _native.Growing, loops: Loops) -> None:
        self._file = file
        self._loops = loops
        self._ended = False
        self._file_id = FileId(file.id)

    @property
    def file_id(self) -> FileId:
        """The file. Until `close`, that of the appender file it grows in."""
        return self._file_id

    async def write(self, data: Buffer, /) -> int:
        """Adds all bytes, and returns how many."""
        await wait(self._file.write(self._loops.current(), data))
        return memoryview(data).nbytes

    async def flush(self) -> None:
        """Sends what has been collected."""
        await wait(self._file.flush(self._loops.current()))

    async def close(self) -> FileId:
        """Sends the rest, ends the file and returns its id."""
        if not self._ended:
            self._ended = True
            self._file_id = await wait(self._file.finish(self._loops.current()))
        return self._file_id

    async def abort(self) -> None:
        """Gives the file up and deletes what has been sent."""
        if not self._ended:
            self._ended = True
            await wait(self._file.abort(self._loops.current()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.abort()

    def __repr__(self) -> str:
        return f"<fdfs.AsyncWriter {str(self._file_id)!r}>"
