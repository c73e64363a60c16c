"""Uploads and downloads counted, for any client."""

import threading
import time
from collections import deque

WARM_UP_SECS = 0.5
SIZES = (4096, 1 << 20)
CONCURRENCIES = (1, 64)

# Uploaded files that stay until the round is over; beyond that, the oldest goes.
KEPT_LEN_MAX = 4 << 30


class Round:
    """Calls until the time is up; those of the warm-up do not count."""

    def __init__(self, secs, size):
        self._begin = time.monotonic() + WARM_UP_SECS
        self._end = self._begin + secs
        self._secs = secs
        self._kept_max = KEPT_LEN_MAX // size
        self._kept = deque()
        self.count = 0

    def goes_on(self):
        return time.monotonic() < self._end

    def done(self):
        if self._begin <= time.monotonic() < self._end:
            self.count += 1

    def keep(self, file_id):
        """Remembers a file to be deleted; the one to delete now, if there are too many."""
        self._kept.append(file_id)
        return self._kept.popleft() if len(self._kept) > self._kept_max else None

    def kept(self):
        """What must be deleted in the end."""
        return list(self._kept)

    def report(self, op, size, concurrency):
        print(f"{op}\t{size}\t{concurrency}\t{self.count / self._secs:.0f}", flush=True)


def on_threads(concurrency, work):
    """Runs `work()` on that many threads."""
    failed = []

    def run():
        try:
            work()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(f"failed: {failed[0]!r}")
