"""FastDFS for Python: upload, download and manage files in a FastDFS cluster.

`Client` waits for its answers, `AsyncClient` is awaited; both have the same methods, may be shared
by threads and event loops, and run on one core in Rust. `EmbeddedCluster` is a whole cluster inside
this process, for development and tests.

    from fdfs import Client

    with Client("10.0.0.1:22122") as client:
        file_id = client.upload(b"hello", ext="txt")
        assert client.download(file_id) == b"hello"
        client.delete(file_id)

Times are given in seconds and returned as aware `datetime` objects in UTC. Sizes and offsets are
bytes. All errors are `FastDFSError`, except an `OSError` of a local file, which stays what it is,
and `asyncio.CancelledError`.

The logger is `fdfs`. Its level is looked at when a client is made, and kept.
"""

from ._native import CORE_VERSION
from .aio import AsyncAdmin, AsyncClient
from .aio_streams import AsyncReader, AsyncWriter
from .client import Admin, Client
from .cluster import EmbeddedCluster
from .errors import (
    AlreadyExistsError,
    BusyError,
    ClosedError,
    ConfigError,
    ConnectError,
    FastDFSError,
    FdfsPermissionError,
    FdfsTimeoutError,
    InternalError,
    InvalidArgumentError,
    LocalIoError,
    NoServerAvailableError,
    NoSpaceError,
    NotFoundError,
    ProtocolError,
    ServerError,
    UnsupportedError,
)
from .streams import Reader, Writer
from .types import (
    FileId,
    FileInfo,
    GroupInfo,
    Kind,
    PoolStats,
    ServerAddress,
    StorageInfo,
    StorageStats,
    TrackerInfo,
    UploadTarget,
    make_token,
)

__version__ = CORE_VERSION
"""Version of this package, which is that of the core."""

__all__ = [
    "CORE_VERSION",
    "Admin",
    "AlreadyExistsError",
    "AsyncAdmin",
    "AsyncClient",
    "AsyncReader",
    "AsyncWriter",
    "BusyError",
    "Client",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "EmbeddedCluster",
    "FastDFSError",
    "FdfsPermissionError",
    "FdfsTimeoutError",
    "FileId",
    "FileInfo",
    "GroupInfo",
    "InternalError",
    "InvalidArgumentError",
    "Kind",
    "LocalIoError",
    "NoServerAvailableError",
    "NoSpaceError",
    "NotFoundError",
    "PoolStats",
    "ProtocolError",
    "Reader",
    "ServerAddress",
    "ServerError",
    "StorageInfo",
    "StorageStats",
    "TrackerInfo",
    "UnsupportedError",
    "UploadTarget",
    "Writer",
    "__version__",
    "make_token",
]
