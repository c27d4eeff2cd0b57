"""Leaders that are killed in the middle of a commit."""

import asyncio
import multiprocessing
import random
from pathlib import Path

import pytest

from pogo.webhooks import Queue, WebhookStore
from tests.servers import NatsServer, RedisServer, ServerProcess
from tests.webhooks.committer import KEYS, open_store, run
from tests.webhooks.conftest import DURABLE
from tests.webhooks.helpers import APP, OTHER, QUEUE, Hints, opened

KILLS = 40
SIZE = 100_000


class _Reader:
    """Reads a queue on and on, and removes what it has read."""

    def __init__(self, store: WebhookStore, queue: Queue) -> None:
        self._store = store
        self._queue = queue
        self._last = 0
        self.bodies: list[bytes] = []

    async def read(self) -> None:
        """Read to the end."""
        while events := await self._store.read(self._queue, self._last, 1000):
            self.bodies += [event.body for event in events]
            self._last = events[-1].sequence
            await self._store.remove(self._queue, self._last)


def _expected_ledger(number: int) -> dict[str, bytes]:
    """What the ledger says after as many commits."""
    found = {f"key-{n % KEYS}": b"%d" % n for n in range(max(1, number - KEYS + 2), number + 1)}
    return {**found, "number": b"%d" % number}


@pytest.mark.parametrize("kind", ["nats", "redis"])
async def test_killed_leaders(tmp_path: Path, kind: str) -> None:
    """Whoever leads next finds ledger and queues in agreement: no event is lost, none is twice."""
    server: ServerProcess = NatsServer(tmp_path)
    if kind == "redis":
        server = RedisServer(tmp_path, config=DURABLE)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run.__module__])
    repaired = 0
    async with server, opened(open_store(kind, server.port, SIZE)) as store:
        hints = Hints(store)
        readers = [_Reader(store, queue) for queue in (QUEUE, OTHER)]
        for _ in range(KILLS):
            hints.queues.clear()
            process = context.Process(target=run, args=(kind, server.port, SIZE), daemon=True)
            process.start()
            await hints.until(QUEUE, within=10.0)
            # Not to wait for anything: so that each is killed at another moment.
            await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311
            process.kill()
            process.join()
            for reader in readers:
                await reader.read()
            before = min(len(reader.bodies) for reader in readers)
            _, ledger = await store.lead(APP)
            for reader in readers:
                await reader.read()
            number = int(ledger["number"])
            repaired += before < number

            assert _expected_ledger(number) == ledger
            for reader in readers:
                assert [b"%d" % n for n in range(1, number + 1)] == reader.bodies
    print(f"{kind}: {number} commits, {KILLS} killed, {repaired} of them between two steps")  # noqa: T201
