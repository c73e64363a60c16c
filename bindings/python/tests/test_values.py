"""Ids, errors and other values: no server is asked."""

import asyncio
import dataclasses
import pickle
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest

import fdfs
from fdfs import _native
from fdfs.errors import KINDS

NAME = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml"


def test_a_file_id_is_a_string_that_knows_what_it_says() -> None:
    file_id = fdfs.FileId(NAME)
    assert file_id == NAME and {NAME: 1}[file_id] == 1 and isinstance(file_id, str)
    assert (file_id.group, file_id.kind, file_id.store_path_index) == ("group1", "normal", 0)
    assert (file_id.size, file_id.crc32, file_id.source) == (1242, 0xE4652640, "192.168.71.127")
    assert file_id.created_at == datetime.fromtimestamp(1421779644, UTC)
    assert file_id.slave("_big", "jpg") == NAME.replace(".xml", "_big.jpg")
    assert repr(file_id) == f"FileId({NAME!r})" and f"{file_id}" == str(file_id) == NAME
    assert type(str(file_id)) is str
    again = pickle.loads(pickle.dumps(file_id))
    assert again == file_id and again.size == 1242


@pytest.mark.parametrize("text", ["", "/" + NAME, "http://h/" + NAME, "M00/00/00/x", "a b/M00"])
def test_what_is_no_file_id_is_refused(text: str) -> None:
    with pytest.raises(fdfs.InvalidArgumentError) as caught:
        fdfs.FileId(text)
    assert isinstance(caught.value, ValueError) and caught.value.kind == "invalid_argument"


def test_every_kind_of_the_core_has_a_class_with_its_name_and_number() -> None:
    assert [name for name, _, _ in _native.ERROR_KINDS] == list(KINDS)
    for name, number, _ in _native.ERROR_KINDS:
        if name == "cancelled":
            assert KINDS[name] is asyncio.CancelledError
            continue
        kind = KINDS[name]
        assert issubclass(kind, fdfs.FastDFSError)
        assert (kind.kind, kind.code) == (name, number)
        assert kind.__name__ in fdfs.__all__ and kind.__doc__


def test_errors_keep_their_fields_on_the_way_to_another_process() -> None:
    error = fdfs.NotFoundError("gone", server="h:1", command=22, file_id=NAME, errno=2)
    assert isinstance(error, FileNotFoundError) and str(error) == "gone" and error.errno == 2
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is fdfs.NotFoundError
    assert (again.server, again.command, again.file_id, again.errno) == ("h:1", 22, NAME, 2)
    for kind, base in [
        (fdfs.FdfsTimeoutError, TimeoutError),
        (fdfs.FdfsPermissionError, PermissionError),
        (fdfs.ConnectError, ConnectionError),
        (fdfs.AlreadyExistsError, FileExistsError),
    ]:
        assert issubclass(kind, base)


def test_values_are_immutable() -> None:
    address = fdfs.ServerAddress("::1", 5)
    assert str(address) == "[::1]:5" and address == fdfs.ServerAddress("::1", 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        address.port = 6  # type: ignore[misc]


def test_the_package_has_the_version_of_the_core() -> None:
    assert fdfs.__version__ == _native.CORE_VERSION == version("fdfs")


def test_tokens_and_urls() -> None:
    token = fdfs.make_token(NAME, 1421779644, "FastDFS1234567890")
    assert token == "139264990029522f5526fce246a172fe"
    moment = datetime.fromtimestamp(1421779644, UTC)
    assert fdfs.make_token(NAME, moment, "FastDFS1234567890") == token
    with fdfs.Client("127.0.0.1:1", token_secret="hush") as client:
        url = client.http_url(NAME, base="http://h/", filename="a b", expires=moment)
        token = fdfs.make_token(NAME, moment, "hush")
        assert url == f"http://h/{NAME}?token={token}&ts=1421779644&filename=a%20b"
        assert "hush" not in repr(client)
        for wrong in (datetime(2020, 1, 1), -1, 1e300, datetime.now(UTC) + timedelta(days=80_000)):
            with pytest.raises(fdfs.InvalidArgumentError):
                client.http_url(NAME, base="http://h", expires=wrong)


def test_options_are_checked() -> None:
    for wrong in (
        {"pool_size": 0},
        {"pool_size": -1},
        {"retries": -1},
        {"retries": 1 << 40},
        {"timeout": -1.0},
        {"io_timeout": float("nan")},
    ):
        with pytest.raises(fdfs.InvalidArgumentError):
            fdfs.Client("h", **wrong)  # type: ignore[arg-type]
    for trackers in ([], "", ":1", "h:x"):
        with pytest.raises(fdfs.ConfigError):
            fdfs.Client(trackers)
    with pytest.raises(fdfs.ConfigError):
        fdfs.Client("h", address_map={"": "h"})
    with pytest.raises(fdfs.UnsupportedError):
        fdfs.Client("h", tls=object())
    with pytest.raises(TypeError):
        fdfs.Client("h", io_timeout="x")  # type: ignore[arg-type]
    fdfs.Client("h", timeout=float("inf")).close()
