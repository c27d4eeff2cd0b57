"""Webhooks on their way to a real endpoint: what it gets, in which order, and signed by whom."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog
from pydantic import SecretStr

from pogo.broker.webhooks.endpoint import PACE
from pogo.broker.webhooks.post import Target
from pogo.pusher.webhooks import sign_webhook
from pogo.webhooks import Queue
from pogo.webhooks.memory import MemoryWebhookStore
from tests.broker.deliveries import (
    delivering,
    in_order,
    make_items,
    make_settings,
    make_webhook,
    rotated,
    spread,
)
from tests.broker.helpers import APP, OTHER
from tests.webhook_receiver import CUT, FAILURE, HANG, Answer, WebhookReceiver

OLD_SECRET = "the-secret-that-was-there-before-it-was"


@pytest.fixture(name="store")
def _store() -> MemoryWebhookStore:
    return MemoryWebhookStore()


@pytest_asyncio.fixture(name="receiver")
async def _receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


async def test_a_genuine_webhook(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """Pusher's own SDK takes the request for genuine, with the app's key and older secret."""
    async with delivering(store, make_webhook(receiver.url)) as running:
        await running.enqueue(make_items(spread(3)))
        await running.until_empty()

    assert receiver.verifies(APP.key, OLD_SECRET)
    assert not receiver.verifies(APP.key, "another-secret")
    assert not receiver.verifies("another-key", OLD_SECRET)
    assert ["private-0-0", "private-1-1", "private-2-2"] == [each["id"] for each in receiver.events]


async def test_headers_to_the_letter(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """There are these headers and no other ones, and the webhook's own beside them."""
    own = {"X-Token": "a-token", "Authorization": "Bearer abc"}
    async with delivering(store, make_webhook(receiver.url, headers=own)) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until_requests(1)

    (got,) = receiver.requests
    host = receiver.url.removeprefix("http://").split("/")[0]
    assert {
        "Host": host,
        "User-Agent": "pogo-websocket",
        "X-Token": "a-token",
        "Authorization": "Bearer abc",
        "Content-Type": "application/json",
        "X-Pusher-Key": APP.key,
        "X-Pusher-Signature": sign_webhook(OLD_SECRET.encode(), got.body),
        "Content-Length": str(len(got.body)),
    } == dict(got.headers)
    assert ("POST", "/hooks?token=a-token-of-the-url") == (got.method, got.path)


async def test_own_headers_go_first(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """A webhook may say who sends it, and an Authorization header counts before the URL's."""
    url = receiver.url.replace("http://", "http://user:word@")
    own = {"user-agent": "shop", "Authorization": "Bearer abc"}
    async with delivering(store, make_webhook(url, headers=own)) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until_requests(1)

    (got,) = receiver.requests
    assert ("shop", "Bearer abc") == (got.header("User-Agent"), got.header("Authorization"))


async def test_credentials_of_the_url(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """A user and password in the URL are Basic authentication."""
    url = receiver.url.replace("http://", "http://user:word@")
    async with delivering(store, make_webhook(url)) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until_requests(1)

    assert "Basic dXNlcjp3b3Jk" == receiver.requests[0].header("Authorization")


@pytest.mark.parametrize(
    ("webhook_secret", "secret", "previous", "signs"),
    [
        ("", "new", None, "new"),
        ("", "new", "old", "old"),
        ("for-webhooks", "new", "old", "for-webhooks"),
    ],
)
def test_which_secret_signs(
    webhook_secret: str, secret: str, previous: str | None, signs: str
) -> None:
    """`webhook_secret` goes first, then the older secret of the app."""
    settings = make_settings(webhook_secret=SecretStr(webhook_secret))
    target = Target.of(rotated(secret, previous), make_webhook("http://h/"), settings)

    assert signs.encode() == target.secret


def test_reprs_hold_no_secret() -> None:
    """Neither URL nor secret nor headers are in the repr of a target."""
    webhook = make_webhook("http://h/?token=abc", headers={"X-Token": "def"})
    text = repr(Target.of(rotated("ghi"), webhook, make_settings()))

    assert not any(secret in text for secret in ("abc", "def", "ghi", "//h"))


async def test_batches(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """What waits is posted in full batches, in order."""
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=40) as running:
        await running.enqueue(make_items(spread(100)))
        await receiver.until_events(100)
        await running.until_empty()

    assert [40, 40, 20] == [len(got.events) for got in receiver.requests]
    assert [number for _, number in spread(100)] == [int(each["data"]) for each in receiver.events]
    assert 100 == running.count("events_delivered_total")
    assert {"ok": 3} == running.results()


async def test_an_event_waits_for_others(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """Events that come within the wait go along with the first one."""
    async with delivering(store, make_webhook(receiver.url), webhook_batch_wait=0.3) as running:
        # The first look finds nothing.
        await asyncio.sleep(0)
        for number in range(5):
            await running.enqueue(make_items([("private-a", number)]))
            await asyncio.sleep(0.01)
        await receiver.until_events(5)

    assert [5] == [len(got.events) for got in receiver.requests]


async def test_large_events_are_split(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """A body stays within its bytes, and an event larger than that goes alone."""
    small = make_items(spread(10), size=100_000)
    large = make_items([("private-9", 10)], size=400_000)
    async with delivering(store, make_webhook(receiver.url)) as running:
        await running.enqueue([*small, *large])
        await receiver.until_events(11)
        await running.until_empty()

    assert 2 == max(len(got.events) for got in receiver.requests)
    assert 1 == len(receiver.requests[-1].events)
    assert all(len(got.body) < 262_144 + 100 for got in receiver.requests[:-1])
    assert in_order(receiver.events)


async def test_hints_may_be_missed(receiver: WebhookReceiver) -> None:
    """An endpoint whose store gives no hints looks for itself."""

    class Mute(MemoryWebhookStore):
        def listen(self, listener: object) -> None:
            del listener

    async with delivering(Mute(), make_webhook(receiver.url)) as running:
        await asyncio.sleep(0)
        await running.enqueue(make_items(spread(3)))
        await receiver.until_events(3)


async def test_two_endpoints_get_their_own(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """Each endpoint has its own queue, though they share a host."""
    webhooks = [make_webhook(receiver.url, name) for name in ("one", "other")]
    async with delivering(store, *webhooks) as running:
        await running.enqueue(make_items([("private-a", 1)], "one"))
        await running.enqueue(make_items([("private-b", 2)], "other"))
        await receiver.until_events(2)
        await running.until_empty("one")
        await running.until_empty("other")

    assert [1, 1] == [running.count("events_delivered_total", name) for name in ("one", "other")]


async def test_one_request_at_a_time(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """The next batch leaves only when the one before was answered."""
    receiver.always = Answer(after=0.01)
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=3) as running:
        for event in spread(30):
            await running.enqueue(make_items([event]))
        await receiver.until_events(30)

    assert 1 == receiver.most_in_flight
    assert in_order(receiver.events)


async def test_slow_endpoint_delays_nobody_else(store: MemoryWebhookStore) -> None:
    """Beside one that hangs and one that is slow, the others are as fast as alone."""
    async with (
        WebhookReceiver() as fast,
        WebhookReceiver() as slow,
        WebhookReceiver() as hanging,
    ):
        slow.always = Answer(after=0.5)
        hanging.always = HANG
        webhooks = [
            make_webhook(fast.url, "fast"),
            make_webhook(slow.url, "slow"),
            make_webhook(slow.url.replace("127.0.0.1", "localhost"), "same-host"),
            make_webhook(hanging.url, "hanging"),
        ]
        async with delivering(store, *webhooks, webhook_timeout=1.0) as running:
            for name in ("slow", "hanging"):
                await running.enqueue(make_items(spread(1000), name))
            await slow.until(lambda: slow.in_flight > 0)
            await hanging.until(lambda: hanging.in_flight > 0)
            delays = []
            for event in spread(50):
                started = time.perf_counter()
                await running.enqueue(make_items([event], "fast"))
                await fast.until_events(len(fast.events) + 1)
                delays.append(time.perf_counter() - started)

            delays.sort()
            print(  # noqa: T201 (the figures are what the run is for)
                f"fast endpoint: median {delays[25]:.4f} s, slowest {delays[-1]:.4f} s"
            )
            assert delays[-1] < 0.4
            assert not hanging.events


async def test_reload_takes_effect_at_the_next_attempt(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """An endpoint that fails is told its new URL, headers and secret by the next attempt."""
    receiver.always = FAILURE
    async with (
        WebhookReceiver() as better,
        delivering(store, make_webhook(receiver.url)) as running,
    ):
        await running.enqueue(make_items(spread(20)))
        await receiver.until_requests(3)
        changed = make_webhook(better.url, headers={"X-Token": "new"})
        running.deliveries.lead(rotated("a-third-secret"), [changed])
        await better.until_events(20)
        await running.until_empty()

        assert better.verifies(APP.key, "a-third-secret")
        assert "new" == better.requests[0].header("X-Token")
        assert [] == receiver.events


async def test_reload_ends_long_pauses(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """Whoever corrects a URL does not wait for the pause after a failure to be over."""
    receiver.always = Answer(503, {"Retry-After": "25"})
    failing = make_webhook(receiver.url)
    async with WebhookReceiver() as better, delivering(store, failing, pace=PACE) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until_requests(1)
        started = time.perf_counter()
        running.deliveries.lead(APP, [make_webhook(better.url)])
        await better.until_events(1)

        assert time.perf_counter() - started < 5.0


async def test_a_removed_endpoint_ends(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """What was posted as it was removed is finished; the rest stays in the store."""
    receiver.always = Answer(after=0.2)
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=4) as running:
        await running.enqueue(make_items(spread(10)))
        await receiver.until(lambda: receiver.in_flight > 0)
        running.deliveries.lead(APP, [])
        await receiver.until_events(4)
        await running.deliveries.release(APP.id)

    assert 4 == len(receiver.events)
    assert 6 == await store.size(Queue(APP.id, "hook"))


async def test_release_lets_a_request_finish(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """Whoever is released has removed what arrived, and posts nothing more."""
    receiver.always = Answer(after=0.2)
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=4) as running:
        await running.enqueue(make_items(spread(10)))
        await receiver.until(lambda: receiver.in_flight > 0)
        await running.deliveries.release(OTHER.id)
        await running.deliveries.release(APP.id)

        assert 4 == len(receiver.events)
        assert 6 == await store.size(Queue(APP.id, "hook"))
        await running.enqueue(make_items([("private-a", 99)]))

        # The next leader begins where this one has ended.
        async with delivering(store, make_webhook(receiver.url)) as next_one:
            await receiver.until_events(11)
            await next_one.until_empty()
    assert 11 == len({event["id"] for event in receiver.events}) == len(receiver.events)


async def test_led_again_while_it_is_released(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """An endpoint that is led again before it has left stays: never are there two."""
    receiver.always = Answer(after=0.1)
    async with delivering(store, make_webhook(receiver.url), webhook_batch_size=4) as running:
        await running.enqueue(make_items(spread(20)))
        await receiver.until(lambda: receiver.in_flight > 0)
        releasing = asyncio.create_task(running.deliveries.release(APP.id))
        await asyncio.sleep(0)
        running.deliveries.lead(APP, [make_webhook(receiver.url)])
        await receiver.until_events(20)
        await running.deliveries.stop()
        await releasing

    assert 1 == receiver.most_in_flight
    assert 20 == len({event["id"] for event in receiver.events}) == len(receiver.events)


async def test_stop_is_bounded(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """An endpoint that hangs holds a stop up for no longer than its time-out."""
    receiver.always = HANG
    async with delivering(store, make_webhook(receiver.url), webhook_timeout=0.3) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until(lambda: receiver.in_flight > 0)
        started = time.perf_counter()
        await running.deliveries.stop()

        assert time.perf_counter() - started < 1.0
        assert 1 == await store.size(Queue(APP.id, "hook"))


async def test_stop_that_is_cancelled(store: MemoryWebhookStore, receiver: WebhookReceiver) -> None:
    """Whoever waits no longer for a stop has cut all requests off; nothing goes on behind them."""
    receiver.always = HANG
    async with delivering(store, make_webhook(receiver.url)) as running:
        await running.enqueue(make_items(spread(1)))
        await receiver.until(lambda: receiver.in_flight > 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await running.deliveries.stop()

        assert 0 == running.count("requests_total", result="timeout")
        # What is no more led shows no queue.
        labels = {"app": APP.id, "endpoint": "hook"}
        name = "pogo_websocket_webhook_queue_events"
        assert running.registry.get_sample_value(name, labels) is None


async def test_logs_name_the_endpoint_only(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """No log line of a failing endpoint has its URL, a header or a secret."""
    await receiver.down()
    hidden = make_webhook(
        receiver.url.replace("http://", "http://user:word@"), headers={"X-Token": "hidden-token"}
    )
    with structlog.testing.capture_logs() as lines:
        async with delivering(store, hidden, webhook_retry_for=0.2) as running:
            await running.enqueue(make_items(spread(3)))
            await running.until_empty()
            await receiver.up()
            receiver.answer_next(CUT, Answer(404))
            await running.enqueue(make_items([("private-a", 9)]))
            await receiver.until_events(1)

    text = repr(lines)
    assert "webhook endpoint fails" in text
    assert "webhook events dropped" in text
    assert "webhook endpoint works again" in text
    assert {APP.id} == {line["app"] for line in lines}
    port = receiver.url.split(":")[2].split("/")[0]
    for secret in ("127.0.0.1", port, "word", "token", OLD_SECRET, "/hooks"):
        assert secret not in text


async def test_gauge_ends_with_the_lead(
    store: MemoryWebhookStore, receiver: WebhookReceiver
) -> None:
    """How many events wait is shown by the broker that knows."""
    receiver.always = FAILURE
    name = "pogo_websocket_webhook_queue_events"
    labels = {"app": APP.id, "endpoint": "hook"}
    async with delivering(store, make_webhook(receiver.url)) as running:
        await running.enqueue(make_items(spread(300)))
        await receiver.until_requests(2)

        assert 300 == running.registry.get_sample_value(name, labels)
        await running.deliveries.release(APP.id)

        assert running.registry.get_sample_value(name, labels) is None
