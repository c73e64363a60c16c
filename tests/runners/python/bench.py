"""bench.py TRACKER SECS: one call at a time with `Client`; 64 at a time on 64 threads that share
it, and with `AsyncClient`, of which the faster counts. The other's line goes to stderr."""

import asyncio
import sys

import fdfs
from rounds import CONCURRENCIES, SIZES, Round, on_threads


def waiting(client, op, size, concurrency, secs):
    data = bytes(size)
    kept = client.upload(data)
    counted = Round(secs, size)

    def uploads():
        while counted.goes_on():
            old = counted.keep(client.upload(data))
            counted.done()
            if old:
                client.delete(old)

    def downloads():
        while counted.goes_on():
            assert len(client.download(kept)) == size
            counted.done()

    work = uploads if op == "upload" else downloads
    if concurrency == 1:
        work()
    else:
        on_threads(concurrency, work)
    for file_id in [kept, *counted.kept()]:
        client.delete(file_id)
    return counted


async def awaited(tracker, op, size, concurrency, secs):
    data = bytes(size)
    async with fdfs.AsyncClient(tracker, pool_size=64) as client:
        kept = await client.upload(data)
        counted = Round(secs, size)

        async def uploads():
            while counted.goes_on():
                old = counted.keep(await client.upload(data))
                counted.done()
                if old:
                    await client.delete(old)

        async def downloads():
            while counted.goes_on():
                assert len(await client.download(kept)) == size
                counted.done()

        work = uploads if op == "upload" else downloads
        await asyncio.gather(*(work() for _ in range(concurrency)))
        for file_id in [kept, *counted.kept()]:
            await client.delete(file_id)
    return counted


def main(tracker, secs):
    secs = float(secs)
    with fdfs.Client(tracker, pool_size=64) as client:
        for op in ("upload", "download"):
            for size in SIZES:
                for concurrency in CONCURRENCIES:
                    best = waiting(client, op, size, concurrency, secs)
                    if concurrency > 1:
                        other = asyncio.run(awaited(tracker, op, size, concurrency, secs))
                        names = ["threads", "asyncio"]
                        if other.count > best.count:
                            best, other = other, best
                            names.reverse()
                        rates = [f"{counted.count / secs:.0f}" for counted in (best, other)]
                        line = f"{names[0]} {rates[0]}, {names[1]} {rates[1]}"
                        print(f"{op} {size} {concurrency}: {line}", file=sys.stderr)
                    best.report(op, size, concurrency)


if __name__ == "__main__":
    main(*sys.argv[1:])
