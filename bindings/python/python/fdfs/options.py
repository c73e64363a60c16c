"""Options of clients."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from . import _native
from .errors import UnsupportedError

if TYPE_CHECKING:
    from .content import Progress

    How = tuple[_native.EventLoop | None, float | None, Progress | None]
    """How a native call runs: for which event loop, within which time, and who is told."""
    Upload = tuple[str | None, dict[str, str] | None, str | None, int | None, bool]
    """Options of an upload as the native client takes them."""
    Part = tuple[int, int | None]
    """Offset and length."""


class Overrides(TypedDict, total=False):
    """Options by name, as `Client` takes them."""

    trackers: str | Iterable[str]
    group: str | None
    connect_timeout: float
    io_timeout: float
    timeout: float | None
    pool_size: int
    retries: int
    address_map: Mapping[str, str] | None
    token_secret: str | None
    tls: object


def make_core(conf: str | os.PathLike[str] | None, options: Overrides) -> _native.Core:
    """The native client behind a client."""
    told: dict[str, Any] = dict(options)
    if told.pop("tls", None) is not None:
        raise UnsupportedError("encrypted connections are not offered yet")
    if "trackers" in told:
        trackers = told["trackers"]
        told["trackers"] = [trackers] if isinstance(trackers, str) else list(trackers)
    address_map = told.pop("address_map", None)
    if address_map is not None:
        told["address_map"] = dict(address_map)
    _native.set_log_level(logging.getLogger("fdfs").getEffectiveLevel())
    return _native.Core(conf, told)


def upload_options(
    ext: str | None,
    metadata: Mapping[str, str] | None,
    group: str | None,
    store_path_index: int | None,
    appender: bool,
) -> Upload:
    """The options of an upload as the native client takes them."""
    return (ext, None if metadata is None else dict(metadata), group, store_path_index, appender)
