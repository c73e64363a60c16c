"""usual.py TRACKER SECS: py3Fdfs as it comes, with one client for each thread."""

import sys

from fdfs_client.client import Fdfs_client

from rounds import CONCURRENCIES, SIZES, Round, on_threads


def make(tracker):
    host, port = tracker.rsplit(":", 1)
    trackers = {"host_tuple": (host,), "port": int(port), "timeout": 30, "name": "Tracker Pool"}
    return Fdfs_client(trackers)


def play(tracker, op, size, concurrency, secs):
    data = bytes(size)
    kept = make(tracker).upload_by_buffer(data)["Remote file_id"]
    counted = Round(secs, size)

    def uploads():
        client = make(tracker)
        while counted.goes_on():
            old = counted.keep(client.upload_by_buffer(data)["Remote file_id"])
            counted.done()
            if old:
                client.delete_file(old)

    def downloads():
        client = make(tracker)
        while counted.goes_on():
            assert len(client.download_to_buffer(kept)["Content"]) == size
            counted.done()

    on_threads(concurrency, uploads if op == "upload" else downloads)
    left = [kept, *counted.kept()]

    def deletions():
        client = make(tracker)
        while left:
            try:
                file_id = left.pop()
            except IndexError:
                return
            client.delete_file(file_id)

    # One after the other would outlast the round: each waits for a delayed acknowledgement.
    on_threads(64, deletions)
    counted.report(op, size, concurrency)


def main(tracker, secs):
    for op in ("upload", "download"):
        for size in SIZES:
            for concurrency in CONCURRENCIES:
                play(tracker, op, size, concurrency, float(secs))


if __name__ == "__main__":
    main(*sys.argv[1:])
