"""Files that are read or written piece by piece."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from . import _native
from .content import CHUNK
from .types import FileId

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Reader(io.RawIOBase):
    """A file, or a part of one, open for reading; made by `Client.open`.

    A raw binary file object: `read`, `readinto`, `seek`, `tell`. Seeking asks the storage anew at
    the next read. Memory does not grow with the file. Iterating gives lines; for many calls of
    `readline`, wrap it in `io.BufferedReader`.
    """

    def __init__(self, file: _native.OpenFile, file_id: FileId) -> None:
        super().__init__()
        self._file = file
        self._position = 0
        self.file_id = file_id
        """The file."""

    @property
    def size(self) -> int:
        """Bytes of the part that was opened; positions count from its first one."""
        return self._file.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def readinto(self, buffer: Buffer, /) -> int:
        """Fills the buffer with the next bytes and returns how many; fewer only at the end."""
        self._check()
        read = self._file.readinto(None, buffer)
        self._position += read
        return read

    def read(self, size: int | None = -1, /) -> bytes:
        """The next `size` bytes, fewer only at the end; all that is left without a size."""
        self._check()
        left = max(self.size - self._position, 0)
        content = self._file.read(None, left if size is None or size < 0 else min(size, left))
        self._position += len(content)
        return content

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Continues elsewhere; returns the position."""
        self._check()
        self._position = self._file.seek(None, offset, whence)
        return self._position

    def tell(self) -> int:
        """The position."""
        self._check()
        return self._position

    def __iter__(self) -> Iterator[bytes]:
        """The lines from here on, read in big pieces."""
        buffered = io.BufferedReader(self, CHUNK)
        try:
            # Not `yield from`, which would close it when the loop is left early.
            for line in buffered:
                yield line
        finally:
            position = buffered.tell()
            buffered.detach()
            if not self.closed:
                self.seek(position)

    def close(self) -> None:
        """Ends reading; closes the connection if the file was not read to its end."""
        if not self.closed:
            self._file.close(None)
            super().close()

    def __repr__(self) -> str:
        return f"<fdfs.Reader {str(self.file_id)!r}>"


class Writer(io.RawIOBase):
    """A file that is written piece by piece; made by `Client.create`.

    A raw binary file object. `close` ends the file, and so does the `with` block; an exception in
    the block, or `abort`, deletes what has been sent. Pieces are collected to 256 KiB.
    """

    def __init__(self, file: _native.Growing) -> None:
        super().__init__()
        self._file = file
        self._ended = False
        self._file_id = FileId(file.id)

    @property
    def file_id(self) -> FileId:
        """The file. Until `close`, that of the appender file it grows in."""
        return self._file_id

    def writable(self) -> bool:
        return True

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def write(self, data: Buffer, /) -> int:
        """Adds all bytes, and returns how many."""
        self._check()
        self._file.write(None, data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Sends what has been collected."""
        self._check()
        if not self._ended:
            self._file.flush(None)

    def close(self) -> None:
        """Sends the rest and ends the file. `file_id` is final from now on."""
        if self.closed:
            return
        try:
            if not self._ended:
                self._ended = True
                self._file_id = self._file.finish(None)
        finally:
            super().close()

    def abort(self) -> None:
        """Gives the file up and deletes what has been sent."""
        if self.closed:
            return
        try:
            self._ended = True
            self._file.abort(None)
        finally:
            super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # Making a whole file of half a one would be worse than leaving it.
        if not getattr(self, "_ended", True):
            text = f"unclosed file {self._file_id}: it stays as it is, an appender file"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=1)
            self._ended = True
            super().close()

    def __repr__(self) -> str:
        return f"<fdfs.Writer {str(self._file_id)!r}>"
