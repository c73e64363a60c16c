"""The client for asyncio: the methods of `fdfs.Client`, awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from . import _native
from .aio_streams import AsyncReader, AsyncWriter, Loops, Opening, wait
from .content import Progress, is_stream, pieces, size_of, write_piece
from .options import Overrides, make_core, upload_options
from .types import (
    URL_TIME,
    FileId,
    FileInfo,
    GroupInfo,
    PoolStats,
    ServerAddress,
    StorageInfo,
    TrackerInfo,
    UploadTarget,
    unix_seconds,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .content import AsyncData, AsyncSink
    from .options import How

_T = TypeVar("_T")


async def _now_or_later(pending: bool) -> bool:
    """The answer of a native call that may have been answered at once."""
    return pending if isinstance(pending, bool) else await wait(pending)


class AsyncClient:
    """A client of one cluster for asyncio. Tasks, threads and event loops may share it.

    Methods, arguments and errors are those of `fdfs.Client`, awaited; what asks no server
    (`http_url`, `pool_stats`) is not awaited. Cancelling a task closes the connection of its call.
    `progress` is called on the event loop, with the latest number only.

    `data` may also be an async iterable of buffers, or a file object whose `read` is awaited. A
    plain file object is read and written on another thread. A buffer is sent from where it is: do
    not change it before the call has ended.
    """

    _core: _native.Core
    _loops: Loops

    def __init__(
        self,
        trackers: str | Iterable[str],
        *,
        group: str | None = None,
        connect_timeout: float = 5,
        io_timeout: float = 30,
        timeout: float | None = None,
        pool_size: int = 16,
        retries: int = 2,
        address_map: Mapping[str, str] | None = None,
        token_secret: str | None = None,
        tls: object = None,
    ) -> None:
        """Connects when it is used; see `fdfs.Client`."""
        self._loops = Loops()
        self._core = make_core(
            None,
            {
                "trackers": trackers,
                "group": group,
                "connect_timeout": connect_timeout,
                "io_timeout": io_timeout,
                "timeout": timeout,
                "pool_size": pool_size,
                "retries": retries,
                "address_map": address_map,
                "token_secret": token_secret,
                "tls": tls,
            },
        )

    @classmethod
    def from_conf(cls, path: str | os.PathLike[str], **overrides: Unpack[Overrides]) -> Self:
        """A client for the cluster of a `client.conf`; options given by name count more."""
        self = cls.__new__(cls)
        self._loops = Loops()
        self._core = make_core(path, overrides)
        return self

    def _how(self, timeout: float | None, progress: Progress | None = None) -> How:
        return (self._loops.current(), timeout, progress)

    async def _send(self, data: Any, begin: Callable[[Any], _T]) -> _T:
        """Runs a call that sends `data`; streams are fed to it while it runs."""
        if not is_stream(data):
            return await wait(begin(data))
        feeder = _native.Feeder()
        call = begin(feeder)
        feeding = asyncio.create_task(self._feed(feeder, data))
        try:
            return await wait(call)
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])

    async def _feed(self, feeder: _native.Feeder, source: Any) -> None:
        loop = self._loops.current()
        try:
            async for piece in pieces(source):
                if not await _now_or_later(feeder.push(loop, piece)):
                    return
            await _now_or_later(feeder.finish(loop))
        except Exception as error:
            # The call fails with what the source raised.
            await _now_or_later(feeder.fail(loop, error))

    async def upload(
        self,
        data: AsyncData,
        *,
        ext: str | None = None,
        metadata: Mapping[str, str] | None = None,
        group: str | None = None,
        store_path_index: int | None = None,
        appender: bool = False,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> FileId:
        """Uploads content; see `fdfs.Client.upload`."""
        options = upload_options(ext, metadata, group, store_path_index, appender)
        how, size = self._how(timeout, progress), size_of(data, size)
        return await self._send(data, lambda data: self._core.upload(how, data, size, options))

    async def upload_file(
        self,
        path: str | os.PathLike[str],
        *,
        ext: str | None = None,
        metadata: Mapping[str, str] | None = None,
        group: str | None = None,
        store_path_index: int | None = None,
        appender: bool = False,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> FileId:
        """Uploads a local file; see `fdfs.Client.upload_file`."""
        options = upload_options(ext, metadata, group, store_path_index, appender)
        return await wait(self._core.upload_file(self._how(timeout, progress), path, options))

    async def upload_slave(
        self,
        master: str,
        prefix: str,
        data: AsyncData,
        *,
        ext: str | None = None,
        metadata: Mapping[str, str] | None = None,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> FileId:
        """Uploads a slave of `master`; see `fdfs.Client.upload_slave`."""
        options = upload_options(ext, metadata, None, None, False)
        how, size = self._how(timeout, progress), size_of(data, size)
        return await self._send(
            data,
            lambda data: self._core.upload_slave(how, master, prefix, data, size, options),
        )

    async def append(
        self,
        file_id: str,
        data: AsyncData,
        *,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Adds content to the end of an appender file."""
        how, size = self._how(timeout, progress), size_of(data, size)
        await self._send(data, lambda data: self._core.append(how, file_id, data, size))

    async def modify(
        self,
        file_id: str,
        offset: int,
        data: AsyncData,
        *,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Overwrites part of an appender file; `offset` is at most its size."""
        how, size = self._how(timeout, progress), size_of(data, size)
        await self._send(data, lambda data: self._core.modify(how, file_id, offset, data, size))

    async def truncate(self, file_id: str, size: int = 0, *, timeout: float | None = None) -> None:
        """Sets the size of an appender file; a larger one extends it with zero bytes."""
        await wait(self._core.truncate(self._how(timeout), file_id, size))

    async def finalize(self, file_id: str, *, timeout: float | None = None) -> FileId:
        """Turns an appender file into a normal one and returns its new id."""
        return await wait(self._core.finalize(self._how(timeout), file_id))

    def create(
        self,
        *,
        ext: str | None = None,
        finalize: bool = True,
        metadata: Mapping[str, str] | None = None,
        group: str | None = None,
        store_path_index: int | None = None,
        timeout: float | None = None,
    ) -> Opening[AsyncWriter]:
        """Begins a file that is written piece by piece; `await` it, or enter it with `async with`.
        See `fdfs.Client.create`."""
        options = upload_options(ext, metadata, group, store_path_index, True)

        async def begin() -> AsyncWriter:
            file = await wait(self._core.create(self._how(timeout), options, finalize))
            return AsyncWriter(file, self._loops)

        return Opening(begin())

    async def download(
        self,
        file_id: str,
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Downloads a file into memory, or a part of it; see `fdfs.Client.download`."""
        how = self._how(timeout, progress)
        return await wait(self._core.download(how, file_id, (offset, length)))

    async def download_into(
        self,
        file_id: str,
        buffer: Buffer,
        *,
        offset: int = 0,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Downloads into a writable buffer; see `fdfs.Client.download_into`."""
        how = self._how(timeout, progress)
        return await wait(self._core.download_into(how, file_id, buffer, offset))

    async def download_file(
        self,
        file_id: str,
        path: str | os.PathLike[str],
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Downloads to a local file; see `fdfs.Client.download_file`."""
        how = self._how(timeout, progress)
        return await wait(self._core.download_file(how, file_id, path, (offset, length)))

    async def download_to(
        self,
        file_id: str,
        fileobj: AsyncSink,
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Downloads to a binary file object, whose `write` may be awaited, or to an
        `asyncio.StreamWriter`; returns the number of bytes."""
        if not hasattr(fileobj, "write"):
            raise TypeError("a binary file object with write() is needed")
        pipe, loop = _native.Pipe(), self._loops.current()
        how = self._how(timeout, progress)
        call = asyncio.create_task(
            wait(self._core.download_to(how, file_id, pipe, (offset, length)))
        )
        try:
            while piece := await wait(pipe.take(loop)):
                await write_piece(fileobj, piece)
            return await call
        finally:
            call.cancel()
            await asyncio.wait([call])

    def open(
        self,
        file_id: str,
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
    ) -> Opening[AsyncReader]:
        """Opens a file, or a part of it; `await` it, or enter it with `async with`. See
        `fdfs.Client.open`."""

        async def begin() -> AsyncReader:
            file = await wait(self._core.open(self._how(timeout), file_id, (offset, length)))
            return AsyncReader(file, FileId(file_id), self._loops)

        return Opening(begin())

    async def delete(
        self, file_id: str, *, missing_ok: bool = False, timeout: float | None = None
    ) -> bool:
        """Deletes a file; whether there was one."""
        return await wait(self._core.delete(self._how(timeout), file_id, missing_ok))

    async def exists(self, file_id: str, *, timeout: float | None = None) -> bool:
        """Whether the file is there."""
        return await wait(self._core.exists(self._how(timeout), file_id))

    async def stat(self, file_id: str, *, timeout: float | None = None) -> FileInfo:
        """What its storage knows of the file."""
        return await wait(self._core.stat(self._how(timeout), file_id))

    async def get_metadata(self, file_id: str, *, timeout: float | None = None) -> dict[str, str]:
        """The metadata of a file; empty when it has none."""
        return await wait(self._core.get_metadata(self._how(timeout), file_id))

    async def set_metadata(
        self,
        file_id: str,
        metadata: Mapping[str, str],
        *,
        merge: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Sets the metadata of a file; with `merge`, items it does not name stay."""
        items = dict(metadata)
        await wait(self._core.set_metadata(self._how(timeout), file_id, items, merge))

    async def list_groups(self, *, timeout: float | None = None) -> list[GroupInfo]:
        """All groups."""
        return await wait(self._core.list_groups(self._how(timeout)))

    async def list_storages(
        self, group: str, storage: str | None = None, *, timeout: float | None = None
    ) -> list[StorageInfo]:
        """The storages of a group, or the one with this id."""
        return await wait(self._core.list_storages(self._how(timeout), group, storage))

    async def list_trackers(self, *, timeout: float | None = None) -> list[TrackerInfo]:
        """The configured trackers, asked one by one."""
        return await wait(self._core.list_trackers(self._how(timeout)))

    async def locate(
        self, file_id: str, *, all: bool = False, timeout: float | None = None
    ) -> list[ServerAddress]:
        """Storages that hold a file: one, or all of them."""
        return await wait(self._core.locate(self._how(timeout), file_id, all))

    async def pick_upload(
        self, group: str | None = None, *, timeout: float | None = None
    ) -> UploadTarget:
        """The storage the tracker would send an upload to."""
        return await wait(self._core.pick_upload(self._how(timeout), group))

    @property
    def admin(self) -> AsyncAdmin:
        """Commands that change the cluster."""
        return AsyncAdmin(self._core, self._loops)

    def http_url(
        self,
        file_id: str,
        *,
        base: str,
        filename: str | None = None,
        expires: datetime | float | None = None,
    ) -> str:
        """The URL of a file behind a web front; see `fdfs.Client.http_url`. Not awaited."""
        moment = None if expires is None else unix_seconds(expires, "expires", URL_TIME)
        return self._core.http_url(file_id, base, filename, moment)

    async def ping(self, *, timeout: float | None = None) -> None:
        """Asks a tracker for a sign of life."""
        await wait(self._core.ping(self._how(timeout)))

    def pool_stats(self) -> list[PoolStats]:
        """What the pool did, by server. Not awaited."""
        return self._core.pool_stats()

    async def close(self) -> None:
        """Closes all connections. Calls from now on raise `ClosedError`; those under way end as
        they would. Doing it again does nothing."""
        self._core.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.trackers!r})"


class AsyncAdmin:
    """Commands that change the cluster; `AsyncClient.admin`."""

    def __init__(self, core: _native.Core, loops: Loops) -> None:
        self._core = core
        self._loops = loops

    def _how(self, timeout: float | None) -> How:
        return (self._loops.current(), timeout, None)

    async def delete_storage(
        self, group: str, storage: str, *, timeout: float | None = None
    ) -> None:
        """Removes a storage that is offline, at every tracker. `BusyError` while it is active."""
        await wait(self._core.delete_storage(self._how(timeout), group, storage))

    async def delete_group(self, group: str, *, timeout: float | None = None) -> None:
        """Removes an empty group, at every tracker."""
        await wait(self._core.delete_group(self._how(timeout), group))

    async def set_trunk_server(
        self, group: str, storage: str | None = None, *, timeout: float | None = None
    ) -> str:
        """Chooses the trunk server of a group, or has one chosen; returns its id."""
        return await wait(self._core.set_trunk_server(self._how(timeout), group, storage))
