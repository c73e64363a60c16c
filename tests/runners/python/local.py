"""Scenarios that need no servers but those they start: ids, conf files, the embedded cluster."""

import csv
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import fdfs
from fdfs.errors import KINDS
from stage import clients, folder, raises, var


def rows(name):
    with open(Path(var("FDFS_VECTORS")) / name, encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert found, name
    return found


def ids():
    for row in rows("file_ids.tsv"):
        file_id = fdfs.FileId(row["id"])
        assert file_id == row["id"] and str(file_id) == row["id"]
        assert f"{file_id.group}/{file_id.path}" == row["id"]
        assert file_id.kind == row["kind"], row
        assert file_id.source == row["file source"], row
        assert file_id.created_at == datetime.fromtimestamp(int(row["created"]), UTC), row
        assert file_id.store_path_index == int(file_id.path[1:3], 16)
        field = int(row["size field"], 16)
        size, crc32 = field & 0xFFFF_FFFF if field >> 63 else field, int(row["crc32"], 16)
        of_its_own = row["kind"] in ("normal", "trunk")
        assert (file_id.size, file_id.crc32) == ((size, crc32) if of_its_own else (None, None)), row
    for row in rows("tokens.tsv"):
        name, secret, moment = row["file"], row["secret"], int(row["unix seconds"])
        if name.startswith("M"):
            assert fdfs.make_token(f"group1/{name}", moment, secret) == row["token"], row
            continue

        # Clients make the token of the name without its group, not this one.
        def token(of, secret=secret, moment=moment):
            return hashlib.md5(f"{of}{secret}{moment}".encode()).hexdigest()

        assert token(name) == row["token"] != fdfs.make_token(name, moment, secret), row
        assert fdfs.make_token(name, moment, secret) == token(name.split("/", 1)[1]), row
    kinds = {row["kind"]: row for row in rows("errors.tsv")}
    assert set(kinds) == set(KINDS)
    for name, row in kinds.items():
        if name != "cancelled":
            assert (KINDS[name].kind, KINDS[name].code) == (name, int(row["number"])), row
    by_status = {int(s): row for row in kinds.values() for s in row["statuses"].split(",") if s}
    with Answering() as server:
        for client in clients(server.address, retries=0):
            for status in (1, 2, 5, 11, 13, 16, 17, 22, 28, 95, 110):
                row = by_status.get(status, kinds["server"])
                server.status = status
                name = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml"
                error = raises(row["kind"], lambda: client.stat(name))
                assert type(error) is KINDS[row["kind"]] and error.errno == status
                assert error.retryable == (row["retryable"] == "true"), row
    assert set(by_status) <= {1, 2, 11, 13, 16, 17, 22, 28, 95}


class Answering:
    """A tracker that names itself as the storage of every file, where it answers with a status."""

    QUERY_FETCH = 102

    def __enter__(self):
        self.status = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rwb") as stream:
            while len(head := stream.read(10)) == 10:
                length, command, _ = struct.unpack(">QBB", head)
                stream.read(length)
                body, status = b"", self.status
                if command == self.QUERY_FETCH:
                    port = self._listener.getsockname()[1]
                    body, status = struct.pack(">16s15sQ", b"group1", b"127.0.0.1", port), 0
                stream.write(struct.pack(">QBB", len(body), 100, status) + body)
                stream.flush()


def conf():
    with folder() as work:
        path = work / "client.conf"
        text = f"tracker_server = {var('FDFS_DEAD')}\nconnect_timeout = 7\nunknown_key = 1\n"
        path.write_text(text)
        overrides = {"trackers": [var("FDFS_TRACKER")], "io_timeout": 3.5, "group": "group2"}
        with fdfs.Client.from_conf(path) as client:
            assert var("FDFS_DEAD") in repr(client)
            raises(("no_server", "connect"), client.ping)
        with fdfs.Client.from_conf(str(path), **overrides) as client:
            file_id = client.upload(b"conf")
            assert file_id.group == "group2" and client.download(file_id) == b"conf"
            client.delete(file_id)
        raises("config", lambda: fdfs.Client.from_conf(work / "none.conf"))
        raises("config", lambda: fdfs.AsyncClient.from_conf(work / "none.conf"))
        path.write_text(f"tracker_server = {var('FDFS_TRACKER')}\n")
        with fdfs.Client.from_conf(path) as client:
            client.ping()


EMBEDDED = """
import fdfs, os, sys
cluster = fdfs.EmbeddedCluster(groups={"one": 1, "two": 2})
assert len(cluster.storages) == 3
with fdfs.Client(cluster.tracker) as client:
    file_id = client.upload(b"embedded", group="two")
    assert client.download(file_id) == b"embedded"
assert os.listdir(sys.argv[1])
if sys.argv[2] == "stop":
    cluster.stop()
    cluster.stop()
    assert not os.listdir(sys.argv[1])
"""


def embedded():
    with fdfs.EmbeddedCluster() as cluster, fdfs.Client(cluster.tracker) as client:
        file_id = client.upload(b"embedded", ext="txt")
        assert file_id.group == "group1" and client.download(file_id) == b"embedded"
    with folder() as work:
        with fdfs.EmbeddedCluster(work) as cluster, fdfs.Client(cluster.tracker) as client:
            file_id = client.upload(b"kept")
        with fdfs.EmbeddedCluster(work) as cluster, fdfs.Client(cluster.tracker) as client:
            assert client.download(file_id) == b"kept"
    for end in ("stop", "exit"):
        with folder() as work:
            command = [sys.executable, "-c", EMBEDDED, str(work), end]
            env = os.environ | {"TMPDIR": str(work)}
            ended = subprocess.run(command, timeout=60, env=env, capture_output=True, text=True)
            assert (ended.returncode, ended.stderr) == (0, ""), ended
            assert os.listdir(work) == [], f"left behind after {end}"


SCENARIOS = [ids, conf, embedded]
