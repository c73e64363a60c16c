"""A cluster for all tests, and servers that never answer."""

import socket
import threading
from collections.abc import Iterator

import pytest

from fdfs import Client, EmbeddedCluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster() as running:
        yield running


@pytest.fixture
def client(cluster: EmbeddedCluster) -> Iterator[Client]:
    with Client(cluster.tracker) as made:
        yield made


@pytest.fixture
def silent() -> Iterator[str]:
    """A tracker that takes everything and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = []

        def accept() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for connection in connections:
            connection.close()
