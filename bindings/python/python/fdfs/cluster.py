"""A whole cluster inside this process."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self
from weakref import WeakSet

from . import _native

_ONE_STORAGE: Mapping[str, int] = MappingProxyType({"group1": 1})

_running: WeakSet[EmbeddedCluster] = WeakSet()


class EmbeddedCluster:
    """A tracker and storages on free ports of the loopback interface, for development and tests.

        with EmbeddedCluster() as cluster, Client(cluster.tracker) as client:
            file_id = client.upload(b"hello")

    It runs on threads of its own. Starting it waits until uploads can come. It ends with `stop`, at
    the end of the `with` block, or when the process ends normally.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str] | None = None,
        groups: Mapping[str, int] = _ONE_STORAGE,
        *,
        tracker_port: int = 0,
    ) -> None:
        """`dir` keeps all data, and is reused if a cluster lived there before; without one, a
        temporary folder is made, and removed at the end. `groups` says how many storages each
        group has. `tracker_port` 0 is a free one."""
        self._cluster = _native.Cluster(dir, dict(groups), tracker_port)
        _running.add(self)

    @property
    def tracker(self) -> str:
        """`host:port` of the tracker."""
        return self._cluster.tracker

    @property
    def storages(self) -> list[str]:
        """`host:port` of each storage."""
        return self._cluster.storages

    def stop(self) -> None:
        """Ends all servers in order. Doing it again does nothing."""
        self._cluster.stop()
        _running.discard(self)

    close = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"EmbeddedCluster(tracker={self.tracker!r}, storages={self.storages!r})"


def _stop_all() -> None:
    for cluster in list(_running):
        cluster.stop()


atexit.register(_stop_all)
