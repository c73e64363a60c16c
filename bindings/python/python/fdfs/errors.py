"""Errors. One class for each kind of the core; those that Python has a class for are that, too."""

from __future__ import annotations

import asyncio
from typing import Any

from . import _native


class FastDFSError(Exception):
    """What failed, where, and what came back. The text says all of it in one line."""

    kind: str = "server"
    """Stable name of the kind, such as `not_found`."""

    code: int = 0
    """Stable number of the kind."""

    message: str
    """What failed."""

    server: str | None
    """`host:port` of the server, when one was involved."""

    command: int | None
    """Number of the command that failed, when one was sent."""

    file_id: str | None
    """The file that the call was about, or that was stored before the call failed."""

    errno: int | None
    """The status that the server sent, an errno value as on Linux; for an `OSError` of this
    machine, its own."""

    retryable: bool
    """Whether the same call may succeed later or elsewhere."""

    outcome_unknown: bool
    """Whether the server may have done the work although no answer came."""

    def __init__(
        self,
        message: str,
        *,
        server: str | None = None,
        command: int | None = None,
        file_id: str | None = None,
        errno: int | None = None,
        retryable: bool = False,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.server = server
        self.command = command
        self.file_id = file_id
        self.errno = errno
        self.retryable = retryable
        self.outcome_unknown = outcome_unknown

    def __reduce__(self) -> tuple[Any, ...]:
        # An OSError would lose its fields on the way to another process.
        names = ("server", "command", "file_id", "errno", "retryable", "outcome_unknown")
        return _rebuilt, (type(self), self.message, {name: getattr(self, name) for name in names})


def _rebuilt(kind: type[FastDFSError], message: str, fields: dict[str, Any]) -> FastDFSError:
    return kind(message, **fields)


class NotFoundError(FastDFSError, FileNotFoundError):
    """The file does not exist."""


class NoServerAvailableError(FastDFSError):
    """The tracker has no storage for this, or no server can be reached."""


class AlreadyExistsError(FastDFSError, FileExistsError):
    """The file exists already."""


class InvalidArgumentError(FastDFSError, ValueError):
    """The call cannot be made as it is: refused here, or by the server."""


class NoSpaceError(FastDFSError):
    """The storages are full."""


class FdfsPermissionError(FastDFSError, PermissionError):
    """Not allowed."""


class BusyError(FastDFSError):
    """The server is busy."""


class UnsupportedError(FastDFSError):
    """The server does not offer this."""


class ConnectError(FastDFSError, ConnectionError):
    """No connection: refused, unreachable, or the name did not resolve."""


class FdfsTimeoutError(FastDFSError, TimeoutError):
    """One of the clocks ran out; the message names which."""


class ProtocolError(FastDFSError):
    """The reply breaks the protocol, or the connection ended inside it."""


class ServerError(FastDFSError):
    """Any other status of a server."""


class LocalIoError(FastDFSError, OSError):
    """A source was shorter or longer than was said. What a local file or a caller's file object
    raises is raised as it is, not as this."""


class ConfigError(FastDFSError):
    """A configuration file or an option is wrong."""


class ClosedError(FastDFSError):
    """The client was used after it was closed, or in a child of the process that made it."""


class InternalError(FastDFSError):
    """A broken invariant of this library."""


KINDS: dict[str, type[BaseException]] = {
    "not_found": NotFoundError,
    "no_server": NoServerAvailableError,
    "already_exists": AlreadyExistsError,
    "invalid_argument": InvalidArgumentError,
    "no_space": NoSpaceError,
    "permission": FdfsPermissionError,
    "busy": BusyError,
    "unsupported": UnsupportedError,
    "connect": ConnectError,
    "timeout": FdfsTimeoutError,
    "protocol": ProtocolError,
    "server": ServerError,
    "local_io": LocalIoError,
    "config": ConfigError,
    "closed": ClosedError,
    "internal": InternalError,
    "cancelled": asyncio.CancelledError,
}
"""The class of each kind of the core."""

for _name, _number, _ in _native.ERROR_KINDS:
    _class = KINDS[_name]
    if issubclass(_class, FastDFSError):
        _class.kind, _class.code = _name, _number
