"""python embedded.py: a cluster inside this process, used with asyncio."""

import asyncio

from fdfs import AsyncClient, EmbeddedCluster


async def main() -> None:
    with EmbeddedCluster() as cluster:
        async with AsyncClient(cluster.tracker) as client:
            texts = [f"text {number}".encode() for number in range(10)]
            ids = await asyncio.gather(*(client.upload(text, ext="txt") for text in texts))
            assert await asyncio.gather(*(client.download(file_id) for file_id in ids)) == texts
            print(len(ids), "files on", cluster.storages[0])


asyncio.run(main())
