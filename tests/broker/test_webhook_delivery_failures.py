"""Webhooks to endpoints and from stores that fail: nothing is lost too early, or kept for ever."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from aiohttp import web

from pogo.broker.webhooks import delivery
from pogo.broker.webhooks.endpoint import Pace
from pogo.broker.webhooks.post import Poster, PostError, Target, parse_retry_after
from pogo.webhooks import Queue, Stored, StoreUnavailableError
from pogo.webhooks.memory import MemoryWebhookStore
from tests.broker.deliveries import (
    delivering,
    in_order,
    make_items,
    make_settings,
    make_webhook,
    spread,
    until,
)
from tests.broker.helpers import APP, Clock
from tests.servers import make_certificate
from tests.webhook_receiver import CUT, FAILURE, HANG, OK, Answer, WebhookReceiver

ROOT = Path(__file__).parents[2]
OLD_SECRET = "the-secret-that-was-there-before-it-was"
QUEUE = Queue(APP.id, "hook")
REFUSAL = Answer(status=400)


@pytest.fixture(name="store")
def _store() -> MemoryWebhookStore:
    return MemoryWebhookStore()


@pytest_asyncio.fixture(name="receiver")
async def _receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


class Unreliable(MemoryWebhookStore):
    """A store that is away when told so, and that can do what it was asked all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.lose_confirmations = 0

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Read, if the store is there."""
        if self.is_away:
            raise StoreUnavailableError("away")
        return await super().read(queue, after, limit)

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove, and perhaps not say so."""
        if self.is_away:
            raise StoreUnavailableError("away")
        await super().remove(queue, up_to)
        if self.lose_confirmations:
            self.lose_confirmations -= 1
            raise StoreUnavailableError("no answer in time")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (FAILURE, "refused"),
        (Answer(status=301, headers={"Location": "/elsewhere"}), "refused"),
        (Answer(status=307, headers={"Location": "/elsewhere"}), "refused"),
        (Answer(status=404), "refused"),
        (Answer(status=410), "refused"),
        (Answer(status=429), "refused"),
        (HANG, "timeout"),
        (CUT, "error"),
    ],
)
async def test_a_failure_is_tried_again(
    store: MemoryWebhookStore, receiver: WebhookReceiver, answer: Answer, result: str
) -> None:
    """Whatever the failure, the same events come again, in order, and arrive once."""
    receiver.answer_next(answer, answer)
    async with delivering(store, make_webhook(receiver.url), webhook_timeout=0.3) as running:
        await running.enqueue(make_items(spread(10)))
        await receiver.until_events(10)
        await running.until_empty()

        assert {result: 2} == {key: n for key, n in running.results().items() if key != "ok"}
        assert 10 == running.count("events_delivered_total")
    assert [number for _, number in spread(10)] == [int(each["data"]) for each in receiver.events]
    assert not any(got.path.startswith("/elsewhere") for got in receiver.requests)
    assert receiver.verifies(APP.key, OLD_SECRET)


async def test_an_endpoint_that_is_down(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """While nobody listens, events wait."""
    await receiver.down()
    async with delivering(store, make_webhook(receiver.url)) as running:
        await running.enqueue(make_items(spread(250)))
        await until(lambda: running.results().get("error", 0) >= 3, expected=True)
        await receiver.up()
        await receiver.until_events(250)
        await running.until_empty()

    assert 250 == len(receiver.events)
    assert in_order(receiver.events)


async def test_an_attempt_has_a_time_of_its_own(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """Each attempt says when it was made and is signed for that, so that it is never too old."""
    clock = Clock()
    first = clock.now - 1000
    clock.now = first
    receiver.answer_next(FAILURE)
    async with delivering(
        store, make_webhook(receiver.url), clock=clock, pace=Pace(0.5, 0.5)
    ) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until_requests(1)
        clock.now = time.time()
        await receiver.until_events(1)

    old, new = receiver.requests
    assert int(first * 1000) == old.time_ms
    assert int(clock.now * 1000) == new.time_ms
    assert old.events == new.events
    receiver.requests = [new]
    assert receiver.verifies(APP.key, OLD_SECRET)
    # The SDK takes nothing that is more than five minutes old.
    receiver.requests = [old]
    assert not receiver.verifies(APP.key, OLD_SECRET)


async def test_order_through_failures(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """While every third request fails, each channel's events come in order, each once."""
    receiver.answer_next(*([FAILURE, OK, CUT, OK, REFUSAL, OK] * 10))
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=7) as running:
        for start in range(0, 200, 20):
            await running.enqueue(make_items(spread(200)[start : start + 20]))
            await receiver.until_events(start)
        await receiver.until_events(200)
        await running.until_empty()

    assert 200 == len(receiver.events)
    assert in_order(receiver.events)


async def test_events_expire(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """What was tried for long enough is dropped, with all that waited as long; newer ones stay."""
    receiver.always = FAILURE
    with structlog.testing.capture_logs() as lines:
        async with delivering(
            store, make_webhook(receiver.url), webhook_retry_for=1.0, webhook_batch_size=10
        ) as running:
            await running.enqueue(make_items(spread(1000)))
            await receiver.until_requests(1)
            started = time.monotonic()
            await asyncio.sleep(0.7)
            assert 1000 == await store.size(QUEUE)
            await running.enqueue(make_items([("private-new", number) for number in range(30)]))
            await until(lambda: store.size(QUEUE), 30)
            took = time.monotonic() - started
            receiver.always = OK
            await receiver.until_events(30)
            await running.until_empty()

    assert 1000 == running.count("events_dropped_total", reason="expired")
    assert {"private-new"} == {event["channel"] for event in receiver.events}
    assert 0.9 < took < 2.0
    drops = [line for line in lines if "dropped" in line["event"]]
    assert 1000 == sum(line["events"] for line in drops)
    # The batch that was tried, and then all others at once.
    assert 2 == len(drops)


async def test_a_short_outage_loses_nothing(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """An endpoint that comes back in time gets everything, also what takes long to be posted."""
    receiver.always = FAILURE
    async with delivering(
        store, make_webhook(receiver.url), webhook_retry_for=1.0, webhook_batch_size=10
    ) as running:
        await running.enqueue(make_items(spread(300)))
        await receiver.until_requests(1)
        await asyncio.sleep(0.5)
        # What is left takes longer than the second that was left.
        receiver.always = Answer(after=0.05)
        await receiver.until_events(300)
        await running.until_empty()

        assert 0 == running.count("events_dropped_total", reason="expired")


class Picky(WebhookReceiver):
    """An endpoint that takes no request with one certain event in it."""

    poison = "private-0-70"

    async def _take(self, request: web.Request) -> web.Response:
        poisoned = self.poison.encode() in await request.read()
        self.always = REFUSAL if poisoned else OK
        return await super()._take(request)


async def test_a_poisoned_event_goes_alone(store: MemoryWebhookStore) -> None:
    """An event that the endpoint always refuses is dropped in the end, and no other one with it."""
    async with (
        Picky() as receiver,
        delivering(store, make_webhook(receiver.url), webhook_retry_for=1.0) as running,
    ):
        await running.enqueue(make_items(spread(200)))
        await receiver.until_events(199)
        await running.until_empty()

        assert 1 == running.count("events_dropped_total", reason="expired")
    assert 199 == len(receiver.events) == len({event["id"] for event in receiver.events})
    assert receiver.poison not in {event["id"] for event in receiver.events}
    assert in_order(receiver.events)


async def test_retry_after_is_kept(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """An endpoint that asks for a pause gets it, up to the longest one there is."""
    pace = Pace(first_retry=0.01, longest_retry=1.0)
    for asked, least, most in (("1", 1.0, 2.0), ("100000", 1.0, 2.0)):
        receiver.requests.clear()
        receiver.answer_next(Answer(503, {"Retry-After": asked}))
        async with delivering(store, make_webhook(receiver.url), pace=pace) as running:
            await running.enqueue(make_items([("private-a", int(asked))]))
            await receiver.until_events(1)

        one, other = receiver.requests
        assert least <= other.at - one.at < most


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0.0),
        ("120", 120.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("²", 0.0),
        (format_datetime(datetime.fromtimestamp(1_000_060, UTC), usegmt=True), 60.0),
        (format_datetime(datetime.fromtimestamp(1, UTC), usegmt=True), 0.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.0),
        ("9" * 5000, float("inf")),
    ],
)
def test_retry_after_is_parsed(text: str, seconds: float) -> None:
    """It is a number of seconds or a date; anything else says nothing."""
    assert seconds == parse_retry_after(text, 1_000_000.0)


async def test_a_store_that_is_away(receiver: WebhookReceiver) -> None:
    """While the store is away nothing is posted twice, and nothing is lost."""
    store = Unreliable()
    receiver.always = Answer(after=0.1)
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=10) as running:
        await running.enqueue(make_items(spread(30)))
        await receiver.until(lambda: receiver.in_flight > 0)
        store.is_away = True
        await receiver.until_events(10)
        await running.enqueue(make_items([("private-new", 1)]))
        await asyncio.sleep(0.3)
        assert 10 == len(receiver.events)
        store.is_away = False
        await receiver.until_events(31)
        await running.until_empty()

    assert 31 == len(receiver.events) == len({event["id"] for event in receiver.events})


async def test_a_removal_that_is_not_confirmed(receiver: WebhookReceiver) -> None:
    """What was removed without an answer is not removed from what came behind it."""
    store = Unreliable()
    store.lose_confirmations = 3
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=10) as running:
        await running.enqueue(make_items(spread(30)))
        await receiver.until_events(30)
        await running.until_empty()

    assert 30 == len(receiver.events) == len({event["id"] for event in receiver.events})


async def test_a_store_that_begins_anew(receiver: WebhookReceiver) -> None:
    """New events with the places of old ones are posted, though those were never removed."""
    store = Unreliable()
    receiver.always = Answer(after=0.1)
    async with delivering(store, make_webhook(receiver.url)) as running:
        await running.enqueue(make_items(spread(20)))
        await receiver.until(lambda: receiver.in_flight > 0)
        store.is_away = True
        await receiver.until_events(20)
        # What a restart without durable storage does.
        await store.close()
        store._sequence = 0  # noqa: SLF001 (a store that is new)
        await running.enqueue(make_items([("private-new", number) for number in range(5)]))
        store.is_away = False
        await receiver.until_events(25)
        await running.until_empty()

    assert 5 == sum(event["channel"] == "private-new" for event in receiver.events)


async def test_what_nobody_foresaw(receiver: WebhookReceiver) -> None:
    """An error of our own is logged, and the events are posted all the same."""

    class Faulty(MemoryWebhookStore):
        faults = 3

        async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a fault")
            return await super().read(queue, after, limit)

    with structlog.testing.capture_logs() as lines:
        async with delivering(Faulty(), make_webhook(receiver.url)) as running:
            await running.enqueue(make_items(spread(5)))
            await receiver.until_events(5)

    assert ["error"] * 3 == [line["log_level"] for line in lines if line["log_level"] == "error"]


async def test_a_store_that_hangs(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop is bounded even where the store does not keep its own time."""

    class Hanging(MemoryWebhookStore):
        async def remove(self, queue: Queue, up_to: int) -> None:
            del queue, up_to
            await asyncio.Event().wait()

    monkeypatch.setattr(delivery, "LEAVE_CALLS", 0)
    webhook = make_webhook(receiver.url)
    async with delivering(Hanging(), webhook, webhook_timeout=0.3) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until_events(1)
        started = time.perf_counter()
        await running.deliveries.stop()

        assert time.perf_counter() - started < 1.0


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    """TLS is verified: an endpoint with a certificate of its own gets nothing."""
    async with WebhookReceiver(certificate=make_certificate(tmp_path)) as receiver:
        error = await failure_of(receiver.url)

        assert ("error", "its certificate is not valid") == (error.failure, str(error))
        assert [] == receiver.requests


_POST = """
import asyncio, sys
from pogo.broker.webhooks.post import Poster, Target
from tests.broker.deliveries import make_settings, make_webhook
from tests.broker.helpers import APP

async def main():
    poster = Poster(timeout=5.0, private_addresses=True)
    await poster.post(Target.of(APP, make_webhook(sys.argv[1]), make_settings()), [b"{}"])
    await poster.close()

asyncio.run(main())
"""


async def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    """A process that is told of an authority trusts its certificates, for their names only."""
    made = make_certificate(tmp_path)
    environment = {**os.environ, "SSL_CERT_FILE": str(made.certificate)}
    # The certificate is for 127.0.0.1, and not for 127.0.0.2, which leads there too.
    async with (
        WebhookReceiver(certificate=made) as receiver,
        WebhookReceiver(host="127.0.0.2", certificate=made) as elsewhere,
    ):
        codes = []
        for url in (receiver.url, elsewhere.url):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _POST, url),
                env=environment,
                cwd=ROOT,
                stderr=asyncio.subprocess.DEVNULL,
            )
            codes.append(await process.wait())

        assert [0, 1] == codes
        assert ([200], []) == (receiver.statuses, elsewhere.statuses)


async def failure_of(url: str) -> PostError:
    """Post one event, and return how that failed."""
    target = Target.of(APP, make_webhook(url), make_settings())
    poster = Poster(timeout=2.0, private_addresses=True)
    try:
        with pytest.raises(PostError) as caught:
            await poster.post(target, [b"{}"])
    finally:
        await poster.close()
    return caught.value


async def _serve(answer: bytes) -> asyncio.Server:
    """Answer whatever comes with these bytes, and close the connection."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(take, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "it closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "its answer was cut off"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n", "it does not speak HTTP"),
    ],
)
async def test_answers_that_are_none(answer: bytes, reason: str) -> None:
    """Whatever answers, the failure is said in words without its name or address."""
    server = await _serve(answer)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure_of(f"http://127.0.0.1:{port}/")

    assert reason == str(error)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("http://nowhere.invalid/", "its name cannot be resolved"),
        ("http://127.1:8/", "its URL cannot be used"),
    ],
)
async def test_endpoints_that_cannot_be_reached(url: str, reason: str) -> None:
    """Nor where nobody answers at all."""
    error = await failure_of(url)

    assert ("error", reason) == (error.failure, str(error))


async def test_long_answers_are_not_read() -> None:
    """An endpoint that answers without end has answered, and its bytes are not kept."""
    sent = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            while sent < 1 << 30:
                writer.write(bytes(65_536))
                await writer.drain()
                sent += 65_536
        except OSError:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    poster = Poster(timeout=5.0, private_addresses=True)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/"
        await poster.post(Target.of(APP, make_webhook(url), make_settings()), [b"{}"])
        await poster.close()

    assert sent < 16 * 1024 * 1024
