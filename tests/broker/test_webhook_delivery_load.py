"""Ten thousand events through one endpoint: all of them, in order, in bounded memory."""

import gc
import time
import tracemalloc

import pytest

from pogo.webhooks import Queue, Stored
from pogo.webhooks.memory import MemoryWebhookStore
from tests.broker.deliveries import delivering, make_webhook
from tests.webhook_receiver import FAILURE, Received, WebhookReceiver

EVENTS = 10_000
DATA = b"." * 500
BOUND = 2 * 1024 * 1024
"""Bytes that deliveries may take while they work: some batches of a hundred such events, in the
store's answer, in the body and in the connection. All events together have three times as much."""


class Endless(MemoryWebhookStore):
    """A store that makes its events when they are read, so that they take no memory before."""

    def __init__(self) -> None:
        super().__init__()
        self.removed = 0

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Return the oldest events."""
        del queue
        first = max(after, self.removed) + 1
        return [_make(number) for number in range(first, min(EVENTS, first + limit - 1) + 1)]

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove the oldest events."""
        del queue
        self.removed = max(self.removed, up_to)

    async def size(self, queue: Queue) -> int:
        """Count the events."""
        del queue
        return EVENTS - self.removed


def _make(number: int) -> Stored:
    body = b'{"name":"client_event","channel":"private-%d","data":"%d%b","id":"%d"}'
    return Stored(number, body % (number % 5, number, DATA, number))


class Counting(WebhookReceiver):
    """A receiver that keeps no bodies, and so takes no memory itself."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[int] = []

    async def _notify(self) -> None:
        for got in self.requests:
            self._take_out(got)
        self.requests.clear()
        await super()._notify()

    def _take_out(self, got: Received) -> None:
        if got.is_accepted:
            self.ids += [int(event["id"]) for event in got.events]


@pytest.mark.parametrize("fails_first", [False, True], ids=["works", "fails at first"])
async def test_memory_is_bounded(*, fails_first: bool) -> None:
    """However many events wait, a batch of them is held."""
    store = Endless()
    gc.collect()
    tracemalloc.start()
    try:
        async with Counting() as receiver:
            if fails_first:
                receiver.answer_next(*[FAILURE] * 20)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            started = time.perf_counter()
            async with delivering(store, make_webhook(receiver.url)) as running:
                await receiver.until(lambda: len(receiver.ids) >= EVENTS)
                took = time.perf_counter() - started
                _, peak = tracemalloc.get_traced_memory()
                await running.until_empty()

                assert EVENTS == running.count("events_delivered_total")
    finally:
        tracemalloc.stop()

    print(  # noqa: T201 (the figures are what the run is for)
        f"{EVENTS} events in {took:.1f} s (traced), {EVENTS / took:.0f} a second; "
        f"peak {(peak - before) / 1024:.0f} KiB above the start, receiver included"
    )
    assert list(range(1, EVENTS + 1)) == receiver.ids
    assert peak - before < BOUND
