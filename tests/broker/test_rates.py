"""How much an app may publish: the sums, and a broker that holds its callers to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence

import grpc
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from pogo.broker.events import Event
from pogo.broker.metrics import BrokerMetrics, RateKind
from pogo.broker.rates import AppRates, count_messages
from pogo.bus.memory import MemoryBus
from pogo.cluster import BROKER, LiveNodes, Membership
from pogo.registry.memory import MemoryRegistry
from pogo.settings import App
from tests.broker.helpers import (
    APP,
    OTHER,
    RunningBroker,
    bearer,
    listen,
    make_settings,
    memory_bus,
    request,
    running_broker,
    token,
)

MINUTE = 60.0
"""Events a minute are the rates of running brokers, so that no time of theirs counts."""


def limited(app: App = APP, **rates: float) -> App:
    """Give an app rates."""
    return app.model_copy(update=rates)


class FixedBrokers(LiveNodes):
    """As many brokers as a test says."""

    def __init__(self, count: int) -> None:
        super().__init__(Membership(MemoryRegistry(), BROKER, "broker", ready=True), BROKER)
        self.count = count

    def __len__(self) -> int:
        return self.count

    @property
    def sharing(self) -> int:
        """Tell what the test says."""
        return self.count


class Desk:
    """Rates, the number of brokers, and a clock that a test moves."""

    def __init__(self, brokers: int = 1) -> None:
        self.now = 1000.0
        self.brokers = FixedBrokers(brokers)
        self.metrics = CollectorRegistry()
        self.rates = AppRates(self.brokers, BrokerMetrics(self.metrics), lambda: self.now)

    def taken(self, app: App, counts: Sequence[int]) -> list[bool]:
        """Ask for so many events at once, again and again; returns which were let through."""
        return [self.rates.take_events(app, count) is None for count in counts]

    def refused(self, kind: RateKind) -> float | None:
        """Return how many calls were refused."""
        return self.metrics.get_sample_value(
            "pogo_websocket_rate_limited_calls_total", {"kind": kind}
        )


def test_without_a_rate_nothing_counts() -> None:
    """It is off unless it is set, and then there is nothing to tell about it."""
    desk = Desk()

    assert all(desk.taken(APP, [1000] * 100))
    assert desk.rates.take_reads(APP) is None
    assert desk.rates.standing(APP, "events") is None
    assert (0.0, 0.0) == (desk.refused("events"), desk.refused("reads"))


def test_a_second_at_once_then_the_rate() -> None:
    """What is refused says when it would be let through, and is, then, and not before."""
    desk = Desk()
    app = limited(event_rate=4.0)

    assert [True, True, True, False] == desk.taken(app, [1, 2, 1, 1])
    refusal = desk.rates.take_events(app, 2)
    assert refusal is not None
    assert ("events", 4.0, 500) == (refusal.kind, refusal.rate, refusal.retry_after_ms)
    assert "the app has reached its rate of 4 events a second: try again in 500 ms" == (
        refusal.detail
    )
    desk.now += 0.49
    assert [False] == desk.taken(app, [2])
    desk.now += 0.01
    assert [True, False] == desk.taken(app, [2, 1])
    assert 4.0 == desk.refused("events")


def test_more_than_a_second_at_once() -> None:
    """A broadcast beyond the rate is let through where nothing is owed, and is paid for."""
    desk = Desk()
    app = limited(event_rate=10.0)

    assert [True, False] == desk.taken(app, [100, 1])
    desk.now += 9.1
    assert [False, True] == desk.taken(app, [2, 1])
    desk.now += 0.5
    refusal = desk.rates.take_events(app, 100)
    assert refusal is not None
    assert pytest.approx(0.5) == refusal.retry_after
    desk.now += 0.5
    assert [True] == desk.taken(app, [100])


def test_events_and_reads_and_apps_are_apart() -> None:
    """Each rate of each app is used up by itself."""
    desk = Desk()
    app, other = limited(event_rate=1.0, read_rate=2.0), limited(OTHER, event_rate=1.0)

    assert [True, False] == desk.taken(app, [1, 1])
    assert [True, False] == desk.taken(other, [1, 1])
    assert [True, True, False] == [desk.rates.take_reads(app) is None for _ in range(3)]
    assert (2.0, 1.0) == (desk.refused("events"), desk.refused("reads"))


def test_the_rate_is_shared_out() -> None:
    """Of two brokers each allows half; alone, one allows all, from then on."""
    desk = Desk(brokers=2)
    app = limited(event_rate=10.0)

    assert [True] * 5 + [False] == desk.taken(app, [1] * 6)
    desk.brokers.count = 1
    desk.now += 1.0
    assert [True] * 10 + [False] == desk.taken(app, [1] * 11)
    desk.brokers.count = 5
    desk.now += 1.0
    assert [True, True, False] == desk.taken(app, [1, 1, 1])


def test_fewer_events_than_brokers() -> None:
    """Each broker then allows one every few seconds."""
    desk = Desk(brokers=4)
    app = limited(event_rate=1.0)

    assert [True, False] == desk.taken(app, [1, 1])
    desk.now += 3.9
    assert [False] == desk.taken(app, [1])
    desk.now += 0.1
    assert [True] == desk.taken(app, [1])


def test_standing() -> None:
    """What is left of a broker's part, and when all of it is there again."""
    desk = Desk(brokers=2)
    app = limited(read_rate=10.0)

    def standing() -> tuple[int, int, float]:
        found = desk.rates.standing(app, "reads")
        assert found is not None
        return found.limit, found.remaining, round(found.reset, 6)

    assert (5, 5, 0.0) == standing()
    desk.rates.take_reads(app)
    desk.rates.take_reads(app)
    assert (5, 3, 0.4) == standing()
    desk.now += 0.1
    assert (5, 3, 0.3) == standing()
    desk.now += 0.1
    assert (5, 4, 0.2) == standing()


def test_a_new_rate_counts_at_once() -> None:
    """What was had at another rate is forgiven; apps that are gone are forgotten."""
    desk = Desk()
    slow, fast = limited(event_rate=1.0), limited(event_rate=100.0)

    assert [True, False] == desk.taken(slow, [3600, 1])
    standing = desk.rates.standing(fast, "events")
    assert standing is not None
    assert (100, 100, 0.0) == (standing.limit, standing.remaining, standing.reset)
    assert [True] * 100 + [False] == desk.taken(fast, [1] * 101)
    desk.rates.keep([OTHER])
    assert [True] * 100 + [False] == desk.taken(fast, [1] * 101)
    desk.rates.keep([fast])
    assert [False] == desk.taken(fast, [1])


def test_what_counts() -> None:
    """Each channel once; what cannot be published on any of its channels counts as one."""
    events = [
        Event("shop", ["a"], "e", ""),
        Event("shop", ["a", "b", "a"], "e", ""),
        Event("shop", [], "e", ""),
        Event("shop", ["a", "b", "c", "d"], "e", ""),
    ]

    assert 1 + 2 + 1 + 1 == count_messages(events, 3)
    assert 1 + 2 + 1 + 4 == count_messages(events, 4)


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


async def refused(call: Awaitable[object]) -> tuple[str, int]:
    """See a call refused; returns what it says, and for how many milliseconds to wait."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    metadata = dict(caught.value.trailing_metadata() or ())

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    return caught.value.details() or "", int(metadata["retry-after-ms"])


async def test_calls_are_refused(bus: MemoryBus) -> None:
    """Each method counts by channels; a refused call publishes nothing and says when to return."""
    app = limited(event_rate=6 / MINUTE)
    async with running_broker(bus, make_settings(apps=(app, OTHER))) as broker:
        heard = listen(bus, "news")
        assert 0 == (await broker.publish(request())).status
        text, milliseconds = await refused(broker.publish(request(message_id="m")))

        assert "the app has reached its rate of 0.1 events a second" in text
        assert 9_000 < milliseconds <= 10_000
        await refused(broker.broadcast('["news", "sport"]'))
        await refused(broker.batch([request(), request()], message_id="batch"))
        assert 1 == len(heard)
        assert 3.0 == broker.metrics.get_sample_value(
            "pogo_websocket_rate_limited_calls_total", {"kind": "events"}
        )
        call = broker.stub.Publish(
            request(app_id=OTHER.id), metadata=bearer(token(OTHER)), timeout=5
        )
        assert 0 == (await call).status


@pytest.mark.parametrize("method", ["publish", "broadcast", "batch"])
async def test_every_channel_counts(bus: MemoryBus, method: str) -> None:
    """One call on two channels, or of two events, is paid for twice."""
    app = limited(event_rate=6 / MINUTE)
    async with running_broker(bus, make_settings(apps=(app,))) as broker:
        if method == "broadcast":
            assert 0 == (await broker.broadcast('["news", "sport"]')).status
        elif method == "batch":
            assert [0, 0] == [reply.status for reply in await broker.batch([request(), request()])]
        else:
            assert 0 == (await broker.publish(request())).status
        _, milliseconds = await refused(broker.publish(request()))

        assert (milliseconds > 10_000) == (method != "publish")


async def test_a_refused_message_id_is_free(bus: MemoryBus) -> None:
    """The refusal leaves no record: once the rate allows it, the same call is published."""
    settings = make_settings(apps=(limited(event_rate=6 / MINUTE),))
    async with running_broker(bus, settings) as broker:
        heard = listen(bus, "news")
        await broker.publish(request())
        await refused(broker.publish(request(message_id="m")))
        broker.server.replace_apps([APP])

        assert 0 == (await broker.publish(request(message_id="m"))).status
        assert "m" == heard[-1].id


async def test_a_reload_changes_rates(bus: MemoryBus) -> None:
    """A rate that is set, lowered, or taken away counts with the next call."""
    async with running_broker(bus, make_settings(apps=(APP,))) as broker:
        await publish_many(broker, 20)
        broker.server.replace_apps([limited(event_rate=6 / MINUTE)])
        await broker.publish(request())
        await refused(broker.publish(request()))
        broker.server.replace_apps([APP])
        await publish_many(broker, 20)


async def publish_many(broker: RunningBroker, count: int) -> None:
    """Publish so many events at once."""
    replies = await asyncio.gather(*(broker.publish(request()) for _ in range(count)))

    assert [0] * count == [reply.status for reply in replies]
