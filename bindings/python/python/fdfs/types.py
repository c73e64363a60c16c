"""Values that calls take and return. All are immutable and compare by value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self, cast

from . import _native
from .errors import InvalidArgumentError

Kind = Literal["normal", "appender", "slave", "trunk"]
"""What a file is: one of its own, one that can grow, one named after a master, or one within a
trunk file (to applications a normal one)."""


class FileId(str):
    """The id of a stored file, such as `group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml`.

    It is a string, and knows what the name says. Making one asks no server; what is no file id is
    an `InvalidArgumentError` with a hint.
    """

    __slots__ = ("_parts",)
    _parts: tuple[str, str, int, str | None, int | None, int | None, int | None, str]

    def __new__(cls, text: str) -> Self:
        if type(text) is cls:
            return text
        parts = _native.parse_id(text)
        self = super().__new__(cls, text)
        self._parts = parts
        return self

    @property
    def group(self) -> str:
        """The group."""
        return self._parts[0]

    @property
    def path(self) -> str:
        """The name within the group, `M00/00/00/…`."""
        return self._parts[1]

    @property
    def store_path_index(self) -> int:
        """Index of the store path, from 0 on."""
        return self._parts[2]

    @property
    def source(self) -> str | None:
        """Address or id of the storage it was uploaded to; `None` when the name does not tell."""
        return self._parts[3]

    @property
    def created_at(self) -> datetime | None:
        """When it was stored; a slave's is its master's."""
        seconds = self._parts[4]
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    @property
    def size(self) -> int | None:
        """Bytes, when the name tells: not for appender and slave files."""
        return self._parts[5]

    @property
    def crc32(self) -> int | None:
        """CRC-32 of the content, when the name tells: not for appender and slave files."""
        return self._parts[6]

    @property
    def kind(self) -> Kind:
        """What the name says it is."""
        return cast(Kind, self._parts[7])

    def slave(self, prefix: str, ext: str = "") -> FileId:
        """The id of this file's slave with that prefix and extension, whether it exists or not."""
        return FileId(_native.slave_id(self, prefix, ext))

    def __repr__(self) -> str:
        return f"FileId({str(self)!r})"

    def __str__(self) -> str:
        return str.__str__(self)


def unix_seconds(moment: datetime | float, what: str, limits: range) -> int:
    """A moment as servers count it: whole seconds since 1970."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidArgumentError(f"{what} needs a time zone, such as datetime.UTC")
        moment = moment.timestamp()
    if not limits.start <= moment < limits.stop:
        raise InvalidArgumentError(f"{what} cannot be {moment}")
    return int(moment)


ANY_TIME = range(-(2**63), 2**63)
"""Moments that fit a token."""

URL_TIME = range(2**32)
"""Moments that fit a URL: from 1970 to 2106."""


def make_token(file_id: str, ts: datetime | float, secret: str) -> str:
    """The token that a web front asks for, made for a moment (Unix seconds, or an aware
    `datetime`). The group is no part of it, as the module for nginx wants it."""
    return _native.make_token(file_id, unix_seconds(ts, "ts", ANY_TIME), secret)


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is."""

    host: str
    """Address or name."""
    port: int
    """TCP port."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class FileInfo:
    """What a storage knows of a file."""

    size: int
    """Bytes."""
    modified: datetime
    """Time of the last change."""
    crc32: int
    """CRC-32 of the content; 0 for files that can grow."""
    source_ip: str
    """Address of the storage it was uploaded to; empty when unknown."""
    kind: Kind
    """What its name says it is."""


@dataclass(frozen=True)
class UploadTarget:
    """Where a tracker sends an upload."""

    group: str
    """The group."""
    server: ServerAddress
    """The storage."""
    store_path_index: int
    """Index of the store path."""


@dataclass(frozen=True)
class TrackerInfo:
    """A configured tracker."""

    address: str
    """As configured."""
    alive: bool
    """Whether it answered."""
    is_leader: bool
    """Whether it leads the trackers."""


@dataclass(frozen=True)
class PoolStats:
    """What the pool did with one server."""

    server: str
    """`host:port`."""
    open: int
    """Connections now."""
    idle: int
    """Of them, those that nobody uses."""
    waiting: int
    """Calls that wait for a connection."""
    created: int
    """Connections made so far."""
    closed_by_error: int
    """Of them, those closed because something went wrong."""


@dataclass(frozen=True)
class GroupInfo:
    """A group of storages. Space is in MiB."""

    name: str
    total_mb: int
    free_mb: int
    reserved_mb: int
    trunk_free_mb: int
    storage_count: int
    storage_port: int
    readable_count: int
    writable_count: int
    store_path_count: int
    subdir_count_per_path: int
    current_trunk_file_id: int | None


@dataclass(frozen=True)
class StorageStats:
    """Counters of a storage since its start; the last four are Unix seconds."""

    connection_alloc_count: int
    connection_current_count: int
    connection_max_count: int
    total_upload_count: int
    success_upload_count: int
    total_append_count: int
    success_append_count: int
    total_modify_count: int
    success_modify_count: int
    total_truncate_count: int
    success_truncate_count: int
    total_set_meta_count: int
    success_set_meta_count: int
    total_delete_count: int
    success_delete_count: int
    total_download_count: int
    success_download_count: int
    total_get_meta_count: int
    success_get_meta_count: int
    total_create_link_count: int
    success_create_link_count: int
    total_delete_link_count: int
    success_delete_link_count: int
    total_upload_bytes: int
    success_upload_bytes: int
    total_append_bytes: int
    success_append_bytes: int
    total_modify_bytes: int
    success_modify_bytes: int
    total_download_bytes: int
    success_download_bytes: int
    total_sync_in_bytes: int
    success_sync_in_bytes: int
    total_sync_out_bytes: int
    success_sync_out_bytes: int
    total_file_open_count: int
    success_file_open_count: int
    total_file_read_count: int
    success_file_read_count: int
    total_file_write_count: int
    success_file_write_count: int
    last_source_update: int
    last_sync_update: int
    last_synced_timestamp: int
    last_heart_beat_time: int


@dataclass(frozen=True)
class StorageInfo:
    """A storage as the tracker knows it. Space is in MiB."""

    id: str
    address: ServerAddress
    status: str
    version: str
    joined: datetime
    up_since: datetime | None
    total_mb: int
    free_mb: int
    reserved_mb: int
    upload_priority: int
    store_path_count: int
    subdir_count_per_path: int
    current_write_path: int
    sync_source: str | None
    is_trunk_server: bool
    stats: StorageStats
