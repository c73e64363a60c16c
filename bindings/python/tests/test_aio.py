"""The client that is awaited."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator

import pytest

import fdfs
from fdfs import AsyncClient, EmbeddedCluster


def test_a_cancelled_call_ends_at_once_and_the_client_goes_on(
    cluster: EmbeddedCluster, silent: str
) -> None:
    async def main() -> None:
        async with (
            AsyncClient(silent, io_timeout=60) as slow,
            AsyncClient(cluster.tracker) as quick,
        ):
            call = asyncio.create_task(slow.ping())
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(call, 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slow.ping(), 0.05)
            data = bytes(1 << 20)
            kept = await quick.upload(b"kept")
            for round in range(100):
                upload = asyncio.create_task(quick.upload(data))
                await asyncio.sleep(round / 1e5)
                upload.cancel()
                assert await quick.download(kept) == b"kept"

    asyncio.run(main())


def test_nothing_writes_into_a_buffer_after_its_download_was_cancelled(
    cluster: EmbeddedCluster,
) -> None:
    async def main() -> None:
        async with AsyncClient(cluster.tracker) as client:
            file_id = await client.upload(b"\1" * (8 << 20))
            for round in range(50):
                buffer = bytearray(8 << 20)
                call = asyncio.create_task(client.download_into(file_id, buffer))
                await asyncio.sleep(round / 1e4)
                call.cancel()
                await asyncio.wait([call])
                seen = bytes(buffer)
                await asyncio.sleep(0.001)
                assert buffer == seen
                if call.cancelled():
                    buffer.clear()

    asyncio.run(main())


def test_event_loops_share_a_client(cluster: EmbeddedCluster) -> None:
    client = AsyncClient(cluster.tracker)
    failed: list[BaseException] = []

    async def work(number: int) -> None:
        data = number.to_bytes(1) * 100_000

        async def trip() -> None:
            file_id = await client.upload(data)
            assert await client.download(file_id) == data
            await client.delete(file_id)

        await asyncio.gather(*(trip() for _ in range(50)))

    def run(number: int) -> None:
        try:
            asyncio.run(work(number))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    # A loop that comes later finds no trace of those that have gone.
    asyncio.run(work(9))
    asyncio.run(client.close())


def test_the_loop_runs_while_calls_wait(silent: str) -> None:
    async def main() -> None:
        async with AsyncClient(silent, timeout=0.5, retries=0) as client:
            call = asyncio.create_task(client.ping())
            turns = 0
            while not call.done():
                turns += 1
                await asyncio.sleep(0.01)
            assert turns > 20
            with pytest.raises(fdfs.FastDFSError):
                await call

    asyncio.run(main())


def test_sources_and_sinks_of_asyncio(cluster: EmbeddedCluster) -> None:
    data = bytes(range(256)) * 4096

    async def pieces() -> AsyncIterator[bytes | memoryview]:
        for start in range(0, len(data), 5000):
            yield memoryview(data)[start : start + 5000]

    async def main() -> None:
        async with AsyncClient(cluster.tracker) as client:
            stream = asyncio.StreamReader()
            stream.feed_data(data)
            stream.feed_eof()
            ids = [
                await client.upload(pieces()),
                await client.upload(stream, size=len(data)),
                await client.upload(io.BytesIO(data)),
            ]
            for file_id in ids:
                assert await client.download(file_id) == data

            class Sink:
                got = b""

                async def write(self, data: bytes, /) -> int:
                    await asyncio.sleep(0)
                    self.got += data[:70_000]
                    return len(data[:70_000])

            sink = Sink()
            assert await client.download_to(ids[0], sink) == len(data)
            assert sink.got == data
            plain = io.BytesIO()
            assert await client.download_to(ids[0], plain, offset=-3) == 3
            assert plain.getvalue() == data[-3:]

    asyncio.run(main())


def test_what_a_source_or_sink_raises_is_raised(cluster: EmbeddedCluster) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise LookupError("no such luck")

    async def wrong() -> AsyncIterator[str]:
        yield "text"

    class Sink:
        def write(self, data: bytes, /) -> int:
            raise LookupError("no such luck")

    def tell(moved: int) -> None:
        raise LookupError("no such luck")

    async def main() -> None:
        async with AsyncClient(cluster.tracker) as client:
            for size in (None, 100):
                with pytest.raises(LookupError):
                    await client.upload(broken(), size=size)
            with pytest.raises(TypeError):
                await client.upload(wrong())  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await client.upload("text")  # type: ignore[arg-type]
            file_id = await client.upload(bytes(3 << 20))
            with pytest.raises(LookupError):
                await client.download_to(file_id, Sink())
            with pytest.raises(LookupError):
                await client.download(file_id, progress=tell)
            with pytest.raises(fdfs.NotFoundError):
                await client.download_to(file_id.replace(".", "") + "_none", io.BytesIO())
            await client.ping()

    asyncio.run(main())


def test_files_open_and_close(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with AsyncClient(cluster.tracker) as client:
            async with client.create(ext="txt") as writer:
                await writer.write(b"one ")
                await writer.write(bytearray(b"two"))
            async with client.open(writer.file_id) as reader:
                assert (reader.size, await reader.read(3)) == (7, b"one")
                assert await reader.seek(-3, io.SEEK_END) == 4
                assert [piece async for piece in reader] == [b"two"]
            with pytest.raises(fdfs.ClosedError):
                await reader.seek(0)
                await reader.read(1)
            with pytest.raises(LookupError):
                async with client.create() as writer:
                    raise LookupError
            assert not await client.exists(writer.file_id)
            reader = await client.open(await client.upload(b"awaited"))
            assert await reader.read() == b"awaited"
            await reader.close()

    asyncio.run(main())


def test_a_cancelled_read_has_read_nothing(cluster: EmbeddedCluster) -> None:
    data = bytes(range(256)) * (1 << 15)

    async def main() -> None:
        async with AsyncClient(cluster.tracker) as client:
            file_id = await client.upload(data)
            async with client.open(file_id) as reader:
                assert await reader.read(100) == data[:100]
                for round in range(20):
                    call = asyncio.create_task(reader.read(4 << 20))
                    await asyncio.sleep(round / 1e4)
                    if call.cancel():
                        await asyncio.wait([call])
                    if not call.cancelled():
                        await reader.seek(100)
                # Not in the assertion: what it would print has megabytes.
                is_same = await reader.read() == data[100:]
                assert is_same

    asyncio.run(main())
