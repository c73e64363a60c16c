"""The client whose calls wait for their answers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Self, Unpack

from . import _native
from .content import Progress, size_of
from .options import Overrides, make_core, upload_options
from .streams import Reader, Writer
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

    from .content import Data, Sink


class Client:
    """A client of one cluster. Threads may share it; calls run at the same time, each without the
    interpreter lock. Ctrl-C ends the call that the main thread waits for.

    Every call takes `timeout`, the seconds it may take as a whole (the client's own `timeout`
    unless given). Transfers take `progress`, which is told the bytes moved so far, on the calling
    thread. Every call can raise a `FastDFSError`.

    `data` is anything with a contiguous buffer, which is sent from where it is, or a binary file
    object, which is read on the calling thread in pieces of 256 KiB. The protocol wants the size up
    front: that of a file object is `size`, or what it has from its position on; one that cannot
    tell is read to its end first, up to 8 MiB into memory, more into a temporary file.

    A client that was made before a fork is closed in the child: make a new one there.
    """

    _core: _native.Core

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
        """Connects when it is used.

        - `trackers`: one or more, each `host[:port]`.
        - `group`: for uploads that name none; otherwise the tracker chooses.
        - `connect_timeout`, `io_timeout`, `timeout`: seconds until a connection must stand,
          without a byte, and for a whole call.
        - `pool_size`: connections to one server at the same time.
        - `retries`: how often a call that changed nothing yet is tried again.
        - `address_map`: where advertised storage addresses really are,
          `{"10.0.0.5:23000": "files.example:32300"}`; ports are optional.
        - `token_secret`: the secret of download tokens.
        - `tls`: not offered yet; anything but `None` is an `UnsupportedError`.
        """
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
        self._core = make_core(path, overrides)
        return self

    def upload(
        self,
        data: Data,
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
        """Uploads content and returns the new file's id.

        `ext` has up to 6 characters, without the dot. Metadata names have up to 64 bytes, values
        up to 256. An `appender` file can grow. If the file is stored and setting its metadata
        fails, the error carries the `file_id`. `LocalIoError` when `data` is not `size` bytes.
        """
        options = upload_options(ext, metadata, group, store_path_index, appender)
        return self._core.upload((None, timeout, progress), data, size_of(data, size), options)

    def upload_file(
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
        """Uploads a local file; its extension is taken from its name unless given (`tar.gz` is
        one). Raises the `OSError` of a file that cannot be read."""
        options = upload_options(ext, metadata, group, store_path_index, appender)
        return self._core.upload_file((None, timeout, progress), path, options)

    def upload_slave(
        self,
        master: str,
        prefix: str,
        data: Data,
        *,
        ext: str | None = None,
        metadata: Mapping[str, str] | None = None,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> FileId:
        """Uploads a slave of `master`: a file with the master's name and a prefix of up to 16
        characters. `AlreadyExistsError` when there is one."""
        options = upload_options(ext, metadata, None, None, False)
        how = (None, timeout, progress)
        return self._core.upload_slave(how, master, prefix, data, size_of(data, size), options)

    def append(
        self,
        file_id: str,
        data: Data,
        *,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Adds content to the end of an appender file."""
        self._core.append((None, timeout, progress), file_id, data, size_of(data, size))

    def modify(
        self,
        file_id: str,
        offset: int,
        data: Data,
        *,
        size: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Overwrites part of an appender file; `offset` is at most its size."""
        self._core.modify((None, timeout, progress), file_id, offset, data, size_of(data, size))

    def truncate(self, file_id: str, size: int = 0, *, timeout: float | None = None) -> None:
        """Sets the size of an appender file; a larger one extends it with zero bytes."""
        self._core.truncate((None, timeout, None), file_id, size)

    def finalize(self, file_id: str, *, timeout: float | None = None) -> FileId:
        """Turns an appender file into a normal one and returns its new id; the old one is gone,
        and the metadata with it."""
        return self._core.finalize((None, timeout, None), file_id)

    def create(
        self,
        *,
        ext: str | None = None,
        finalize: bool = True,
        metadata: Mapping[str, str] | None = None,
        group: str | None = None,
        store_path_index: int | None = None,
        timeout: float | None = None,
    ) -> Writer:
        """Begins a file that is written piece by piece. With `finalize` it becomes a normal file
        at the end, otherwise it stays an appender file. `timeout` bounds each request."""
        options = upload_options(ext, metadata, group, store_path_index, True)
        return Writer(self._core.create((None, timeout, None), options, finalize))

    def download(
        self,
        file_id: str,
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Downloads a file into memory, or the part of `length` bytes from `offset` on. A negative
        offset counts from the end. What lies beyond the end is not there, which is no error."""
        return self._core.download((None, timeout, progress), file_id, (offset, length))

    def download_into(
        self,
        file_id: str,
        buffer: Buffer,
        *,
        offset: int = 0,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Downloads into a writable buffer, as much as it holds and the file has from `offset` on;
        returns how many bytes that were."""
        return self._core.download_into((None, timeout, progress), file_id, buffer, offset)

    def download_file(
        self,
        file_id: str,
        path: str | os.PathLike[str],
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Downloads to a local file, which appears under its name only when it is whole; returns
        the number of bytes. Raises the `OSError` of a file that cannot be written."""
        how = (None, timeout, progress)
        return self._core.download_file(how, file_id, path, (offset, length))

    def download_to(
        self,
        file_id: str,
        fileobj: Sink,
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Downloads to a binary file object, written on the calling thread in pieces of up to
        256 KiB; returns the number of bytes. What it raises is raised."""
        how = (None, timeout, progress)
        return self._core.download_to(how, file_id, fileobj, (offset, length))

    def open(
        self,
        file_id: str,
        *,
        offset: int = 0,
        length: int | None = None,
        timeout: float | None = None,
    ) -> Reader:
        """Opens a file, or a part of it, as a binary file object. `timeout` covers the opening;
        reading is bounded by the time without a byte."""
        file = self._core.open((None, timeout, None), file_id, (offset, length))
        return Reader(file, FileId(file_id))

    def delete(
        self, file_id: str, *, missing_ok: bool = False, timeout: float | None = None
    ) -> bool:
        """Deletes a file; whether there was one. Without `missing_ok`, `NotFoundError` when there
        is none."""
        return self._core.delete((None, timeout, None), file_id, missing_ok)

    def exists(self, file_id: str, *, timeout: float | None = None) -> bool:
        """Whether the file is there."""
        return self._core.exists((None, timeout, None), file_id)

    def stat(self, file_id: str, *, timeout: float | None = None) -> FileInfo:
        """What its storage knows of the file."""
        return self._core.stat((None, timeout, None), file_id)

    def get_metadata(self, file_id: str, *, timeout: float | None = None) -> dict[str, str]:
        """The metadata of a file; empty when it has none."""
        return self._core.get_metadata((None, timeout, None), file_id)

    def set_metadata(
        self,
        file_id: str,
        metadata: Mapping[str, str],
        *,
        merge: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Sets the metadata of a file; with `merge`, items it does not name stay."""
        self._core.set_metadata((None, timeout, None), file_id, dict(metadata), merge)

    def list_groups(self, *, timeout: float | None = None) -> list[GroupInfo]:
        """All groups."""
        return self._core.list_groups((None, timeout, None))

    def list_storages(
        self, group: str, storage: str | None = None, *, timeout: float | None = None
    ) -> list[StorageInfo]:
        """The storages of a group, or the one with this id."""
        return self._core.list_storages((None, timeout, None), group, storage)

    def list_trackers(self, *, timeout: float | None = None) -> list[TrackerInfo]:
        """The configured trackers, asked one by one."""
        return self._core.list_trackers((None, timeout, None))

    def locate(
        self, file_id: str, *, all: bool = False, timeout: float | None = None
    ) -> list[ServerAddress]:
        """Storages that hold a file: one, or all of them."""
        return self._core.locate((None, timeout, None), file_id, all)

    def pick_upload(
        self, group: str | None = None, *, timeout: float | None = None
    ) -> UploadTarget:
        """The storage the tracker would send an upload to."""
        return self._core.pick_upload((None, timeout, None), group)

    @property
    def admin(self) -> Admin:
        """Commands that change the cluster."""
        return Admin(self._core)

    def http_url(
        self,
        file_id: str,
        *,
        base: str,
        filename: str | None = None,
        expires: datetime | float | None = None,
    ) -> str:
        """The URL of a file behind the web front at `base`, with a token when the client has a
        secret. `expires` is the moment in the token (now unless given; Unix seconds or an aware
        `datetime`): the front refuses it once its own `token_ttl` has passed since. Asks no
        server."""
        moment = None if expires is None else unix_seconds(expires, "expires", URL_TIME)
        return self._core.http_url(file_id, base, filename, moment)

    def ping(self, *, timeout: float | None = None) -> None:
        """Asks a tracker for a sign of life."""
        self._core.ping((None, timeout, None))

    def pool_stats(self) -> list[PoolStats]:
        """What the pool did, by server. Asks no server."""
        return self._core.pool_stats()

    def close(self) -> None:
        """Closes all connections. Calls from now on raise `ClosedError`; those under way end as
        they would. Doing it again does nothing."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.trackers!r})"


class Admin:
    """Commands that change the cluster; `Client.admin`."""

    def __init__(self, core: _native.Core) -> None:
        self._core = core

    def delete_storage(self, group: str, storage: str, *, timeout: float | None = None) -> None:
        """Removes a storage that is offline, at every tracker. `BusyError` while it is active."""
        self._core.delete_storage((None, timeout, None), group, storage)

    def delete_group(self, group: str, *, timeout: float | None = None) -> None:
        """Removes an empty group, at every tracker."""
        self._core.delete_group((None, timeout, None), group)

    def set_trunk_server(
        self, group: str, storage: str | None = None, *, timeout: float | None = None
    ) -> str:
        """Chooses the trunk server of a group, or has one chosen; returns its id."""
        return self._core.set_trunk_server((None, timeout, None), group, storage)
