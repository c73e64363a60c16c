"""Scenarios with servers that misbehave: ours only."""

import asyncio
import os
import signal
import threading

from stage import Awaited, behind, clients, content, folder, raises, var


def address_widths():
    for tracker in ("FDFS_TRACKER_V4", "FDFS_TRACKER_V6"):
        for client in clients(var(tracker)):
            file_id = client.upload(b"wide")
            assert client.download(file_id) == b"wide"
            located = client.locate(file_id)
            assert [server.host for server in located] == ["127.0.0.1"]
            assert client.list_storages("group1")[0].address == located[0]
            client.delete(file_id)


def tracker_down():
    for _ in range(4):
        for client in clients([var("FDFS_DEAD"), var("FDFS_TRACKER")]):
            client.delete(client.upload(b"x"))
    for client in clients(var("FDFS_DEAD")):
        error = raises(("no_server", "connect"), lambda: client.upload(b"x"))
        assert error.retryable and isinstance(error.__cause__, ConnectionError), error.__cause__


def cut():
    data = content(4 << 20)
    for client, direct in zip(behind("FDFS_CUT"), clients(), strict=True):
        error = raises(("protocol", "connect"), lambda: client.upload(data))
        assert error.outcome_unknown and not error.retryable, error
        file_id = direct.upload(data, group="group1")
        with folder() as work:
            raises(("protocol", "connect"), lambda: client.download_file(file_id, work / "part"))
            assert os.listdir(work) == []
        raises(("protocol", "connect"), lambda: client.download(file_id))
        assert client.download(file_id, length=1000) == data[:1000]
        direct.delete(file_id)


def half_reply():
    for client in behind("FDFS_HALF"):
        raises(("protocol", "connect"), lambda: client.upload(b"x"))


def stall():
    for client in behind("FDFS_STALL"):
        error = raises("timeout", lambda: client.upload(b"x"))
        assert isinstance(error, TimeoutError) and "io_timeout" in str(error), error
        error = raises("timeout", lambda: client.upload(b"x", timeout=0.1))
        assert "100ms" in str(error), error
    # Nothing else ends a call so soon that the server has not closed.
    for client in behind("FDFS_STALL", io_timeout=60):
        if isinstance(client, Awaited):
            client.run(_cancel)
        else:
            _interrupt(client)


async def _cancel(client):
    call = asyncio.create_task(client.upload(b"x"))
    await asyncio.sleep(0.1)
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        return
    raise AssertionError("a cancelled call has ended well")


def _interrupt(client):
    # Who starts this in the background may have it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    try:
        client.upload(b"x")
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGINT, before)
    raise AssertionError("Ctrl-C ended nothing")


def cancel_reuse():
    data = content(1 << 20)
    for client in clients():
        if not isinstance(client, Awaited):
            continue

        async def play(target):
            kept = await target.upload(b"kept")
            ended = 0
            for round in range(1000):
                call = asyncio.create_task(target.upload(data))
                await asyncio.sleep(round * 7 % 1500 / 1e6)
                call.cancel()
                try:
                    await target.delete(await call)
                    ended += 1
                except asyncio.CancelledError:
                    pass
                assert await target.download(kept) == b"kept", round
            assert ended < 900, "nearly all were faster than their cancellation"
            await target.delete(kept)

        client.run(play)


SCENARIOS = [address_widths, tracker_down, cut, half_reply, stall, cancel_reuse]
