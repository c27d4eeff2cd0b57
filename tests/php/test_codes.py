"""Each of the ten codes, as PHP's two functions return it, by a cause that is real."""

import asyncio
import json

from pogo.bus.nats import NatsBus
from pogo.cluster import Timing
from pogo.registry.memory import MemoryRegistry
from tests.broker.helpers import APP, DISABLED, RunningBroker, listen, running_broker, until
from tests.php.conftest import StartBroker, StartPhp
from tests.php.process import BROADCAST_MULTI, PUBLISH, Php
from tests.servers import NatsServer, free_port

TEXT = json.dumps({"title": "Grüße, 世界 🎉"}, ensure_ascii=False)
QUICK = Timing(beat=0.05, dead_after=0.3)


async def both(php: Php, channel: str, event: str, data: str, app_id: str = APP.id) -> list[int]:
    """Publish by both functions, and return their codes."""
    channels = json.dumps([channel], ensure_ascii=False)
    return [
        await php.code(PUBLISH, app_id, channel, event, data),
        await php.code(BROADCAST_MULTI, app_id, channels, event, data),
    ]


def queued(broker: RunningBroker) -> float | None:
    """Return how many messages wait for the bus."""
    return broker.metrics.get_sample_value("pogo_websocket_broker_queue_messages")


async def test_0_success(php: Php, bus: NatsBus) -> None:
    """What is published arrives once, its data untouched."""
    first, second = listen(bus, "news"), listen(bus, "sports")
    await bus.flush()

    assert 0 == await php.code(PUBLISH, APP.id, "news", "headline", TEXT)
    assert 0 == await php.code(BROADCAST_MULTI, APP.id, '["news", "sports"]', "headline", TEXT)

    await until(lambda: len(first) == 2 and len(second) == 1)
    expected = {"event": "headline", "channel": "news", "data": TEXT}

    assert [expected, expected] == [json.loads(delivery.payload) for delivery in first]
    assert {**expected, "channel": "sports"} == json.loads(second[0].payload)
    assert "" == php.log


async def test_1_unknown_app(broker: RunningBroker, php: Php, start_php: StartPhp) -> None:
    """Of an app that nobody has, or that is switched off, it is the broker that says so."""
    assert [1, 1] == await both(php, "news", "headline", "{}", app_id="nobody")

    async with start_php(broker.server.grpc_port, DISABLED) as disabled:
        assert [1, 1] == await both(disabled, "news", "headline", "{}", app_id=DISABLED.id)


async def test_1_no_edge(nats: NatsServer, start_php: StartPhp) -> None:
    """Where no edge is alive nobody could hear it."""
    bus = NatsBus([nats.url])
    await bus.start()
    broker = running_broker(bus, registry=MemoryRegistry(), timing=QUICK)
    async with broker as running, start_php(running.server.grpc_port) as php:
        await php.until_code(1, PUBLISH, APP.id, "news", "headline", "{}")

        assert [1, 1] == await both(php, "news", "headline", "{}")

    await bus.close()


async def test_2_to_5_what_is_wrong_with_an_event(php: Php) -> None:
    """Names that are too long, data that is too large or no JSON."""
    large = json.dumps("x" * 300_000)
    huge = json.dumps("x" * 5_000_000)

    assert [2, 2] == await both(php, "c" * 201, "headline", "{}")
    assert [2, 2] == await both(php, "no spaces", "headline", "{}")
    assert [3, 3] == await both(php, "news", "e" * 201, "{}")
    assert [4, 4] == await both(php, "news", "headline", large)
    assert [5, 5] == await both(php, "news", "headline", "{'single': 'quotes'}")
    assert [5, 5] == await both(php, "news", "headline", "")
    # So large that gRPC itself refuses it, while it arrives.
    assert [4, 4] == await both(php, "news", "headline", huge)
    assert [0, 0] == await both(php, "news", "headline", "{}")
    assert "" == php.log


async def test_6_the_bus_is_gone(
    nats: NatsServer, start_broker: StartBroker, start_php: StartPhp
) -> None:
    """While the nats-server is away nothing can be confirmed; then all is well again."""
    async with start_broker() as broker, start_php(broker.server.grpc_port) as php:
        assert [0, 0] == await both(php, "news", "headline", "{}")

        nats.kill()

        assert [6, 6] == await both(php, "news", "headline", "{}")

        await nats.start()
        await php.until_code(0, PUBLISH, APP.id, "news", "headline", "{}")


async def test_6_no_broker(start_php: StartPhp) -> None:
    """A broker that is not there is the same to a caller, and the log says why."""
    port = free_port()
    async with start_php(port) as php:
        assert [6, 6] == await both(php, "news", "headline", "{}")
        reason = f"pogo: not published: UNAVAILABLE: 127.0.0.1:{port}: Failed to connect"
        assert 2 == php.log.count(reason)
        assert APP.secret.get_secret_value() not in php.log


async def test_7_invalid_channels(php: Php) -> None:
    """The channels of a broadcast are a JSON array of names."""
    many = json.dumps([f"c{number}" for number in range(101)])
    for channels in ('["news"', "news", "[]", '{"a": "news"}', "[1]", "", many):
        assert 7 == await php.code(BROADCAST_MULTI, APP.id, channels, "headline", "{}"), channels


async def test_8_the_broker_is_full(
    nats: NatsServer, start_broker: StartBroker, start_php: StartPhp
) -> None:
    """While the nats-server is frozen, many channels fill the broker at large."""
    limits = {"broker_queue_size": 20, "shard_queue_size": 19}
    async with start_broker(**limits) as broker:
        port = broker.server.grpc_port
        async with start_php(port) as php, start_php(port) as other:
            assert [0, 0] == await both(php, "news", "headline", "{}")

            nats.freeze()
            events = [(f"channel-{number}", "headline", "{}") for number in range(20)]
            waiting = asyncio.create_task(other.call("publishBatch", *events))
            await until(lambda: queued(broker) == 20)

            assert [8, 8] == await both(php, "news", "headline", "{}")
            assert {6} == {code for code, _ in (await waiting)["outcomes"]}

            nats.thaw()


async def test_9_a_shard_is_full(
    nats: NatsServer, start_broker: StartBroker, start_php: StartPhp
) -> None:
    """One hot channel fills its shard's queue, and no other."""
    async with start_broker(shard_queue_size=3) as broker:
        port = broker.server.grpc_port
        async with start_php(port) as php, start_php(port) as other:
            assert [0, 0] == await both(php, "hot", "headline", "{}")

            nats.freeze()
            events = [("hot", "headline", "{}")] * 3
            waiting = asyncio.create_task(other.call("publishBatch", *events))
            await until(lambda: queued(broker) == 3)

            assert [9, 9] == await both(php, "hot", "headline", "{}")
            assert [6, 6, 6] == [code for code, _ in (await waiting)["outcomes"]]

            nats.thaw()


async def test_a_batch_has_a_code_for_each_event(php: Php, bus: NatsBus) -> None:
    """Good events are published in their order, whatever stands between them."""
    heard = listen(bus, "news")
    await bus.flush()
    events = [("news", "e", str(number)) for number in range(2500)]
    events[1200:1202] = [("no spaces", "e", "{}"), ("news", "e", "no JSON")]
    answer = await php.call("publishBatch", *events)
    codes = [code for code, _ in answer["outcomes"]]

    assert [2, 5] == codes[1200:1202]
    assert {0} == set(codes[:1200] + codes[1202:])

    await until(lambda: len(heard) == 2498)
    data = [int(json.loads(delivery.payload)["data"]) for delivery in heard]

    assert [*range(1200), *range(1202, 2500)] == data


async def test_the_excluded_connection_and_the_message_id_travel(php: Php, bus: NatsBus) -> None:
    """They arrive with the event; an event that has no id is given one."""
    heard = listen(bus, "news")
    await bus.flush()
    await php.outcome("publish", "news", "headline", "{}", "12.34", "my-id")
    await php.outcome("publish", "news", "headline", "{}")
    await until(lambda: len(heard) == 2)

    assert ("12.34", "my-id") == (heard[0].except_socket_id, heard[0].id)
    assert "" == heard[1].except_socket_id
    assert 32 == len(heard[1].id)


async def test_a_detail_says_what_was_wrong(php: Php) -> None:
    """The class returns the broker's words beside the code."""
    code, detail = await php.outcome("publish", "no spaces", "headline", "{}")

    assert 2 == code
    assert "channel" in detail
