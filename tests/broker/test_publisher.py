import json

import pytest
from prometheus_client import CollectorRegistry

from pogo.broker.apps import AppDirectory
from pogo.broker.events import Event
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.publisher import Publisher
from pogo.broker.status import Outcome
from pogo.bus.memory import MemoryBus
from pogo.rpc.v1.status import StatusCode
from tests.broker.helpers import APP, DISABLED, FixedEdges, listen, make_settings, memory_bus


async def publish(
    event: Event,
    *,
    bus: MemoryBus | None = None,
    edges: bool = True,
    json_data: bool = True,
    **changes: object,
) -> Outcome:
    """Publish one event by a publisher that knows of edges, or that there are none."""
    async with memory_bus() as own_bus:
        publisher = Publisher(
            make_settings(**changes),
            apps=AppDirectory([APP, DISABLED]),
            bus=bus or own_bus,
            live_edges=FixedEdges(alive=edges),
            metrics=BrokerMetrics(CollectorRegistry()),
        )
        publisher.start()
        try:
            [outcome] = await publisher.publish([event], json_data=json_data)
        finally:
            await publisher.stop()
    return outcome


def event(*channels: str, app_id: str = APP.id, name: str = "headline", data: str = "{}") -> Event:
    """Make an event."""
    return Event(app_id, channels, name, data)


async def test_what_an_edge_gets() -> None:
    """The delivery holds the finished Pusher message, who must not get it, and an id."""
    async with memory_bus() as bus:
        heard = listen(bus, "private-news")
        sent = Event(APP.id, ("private-news",), "headline", '{"a": "ä"}', "123.456", "message-7")
        outcome = await publish(sent, bus=bus)

    [delivery] = heard
    message = {"event": "headline", "channel": "private-news", "data": '{"a": "ä"}'}

    assert Outcome(StatusCode.SUCCESS) == outcome
    assert message == json.loads(delivery.payload)
    assert "123.456" == delivery.except_socket_id
    assert "message-7" == delivery.id


async def test_events_have_ids_of_their_own() -> None:
    """Without a message id, each event gets one that no other has."""
    async with memory_bus() as bus:
        heard = listen(bus, "news")
        for _ in range(2):
            await publish(event("news"), bus=bus)

    assert 2 == len({delivery.id for delivery in heard})
    assert 24 == len(heard[0].id)


async def test_a_broadcast_reaches_each_channel_once() -> None:
    """A channel that is named twice gets the event once, and all of them get the same event."""
    async with memory_bus() as bus:
        heard = [listen(bus, name) for name in ("a", "b")]
        outcome = await publish(event("a", "b", "a"), bus=bus, max_channels=2)

    assert StatusCode.SUCCESS == outcome.status
    assert [1, 1] == [len(deliveries) for deliveries in heard]
    assert heard[0][0].id == heard[1][0].id


@pytest.mark.parametrize("app_id", ["nobody", "", DISABLED.id])
async def test_apps_that_nobody_can_publish_to(app_id: str) -> None:
    """An app that is unknown or disabled has no hub."""
    expected = Outcome(StatusCode.HUB_MISSING, "there is no such app, or it is disabled")

    assert expected == await publish(event("news", app_id=app_id))


async def test_without_a_live_edge_nobody_would_hear() -> None:
    """A cluster without any edge is code 1; with one it is not."""
    assert Outcome(StatusCode.HUB_MISSING, "no edge is alive") == await publish(
        event("news"), edges=False
    )
    assert Outcome(StatusCode.SUCCESS) == await publish(event("news"), edges=True)


async def test_the_delivery_must_fit_the_bus() -> None:
    """Data within its limit can grow sixfold as it is encoded; what the bus refuses is code 4."""
    fits = await publish(event("news", data="\x01" * 170_000), json_data=False)
    grown = await publish(event("news", data="\x01" * 180_000), json_data=False)

    assert StatusCode.SUCCESS == fits.status
    assert StatusCode.PAYLOAD_TOO_LARGE == grown.status
    assert "the bus takes 1048576" in grown.detail


async def test_an_oversized_socket_id_is_part_of_the_delivery() -> None:
    """Nothing that travels escapes the bound."""
    sent = Event(APP.id, ("news",), "headline", "{}", "1" * 1_048_576)

    assert StatusCode.PAYLOAD_TOO_LARGE == (await publish(sent)).status


async def test_a_bus_that_is_away_fails_at_once() -> None:
    """While the bus is not connected nothing is queued."""
    outcome = await publish(event("news"), bus=MemoryBus())

    assert (
        Outcome(
            StatusCode.BROKER_PUBLISH_FAILED,
            "the bus is not connected: not sent",
        )
        == outcome
    )


async def test_the_documented_order() -> None:
    """An event with every fault is answered with the first one; each is put right in turn."""
    bus = MemoryBus()
    answers: list[int] = []

    async def ask(sent: Event, max_payload: int = 1, *, edges: bool = True) -> Event:
        outcome = await publish(
            sent,
            bus=bus,
            edges=edges,
            max_payload=max_payload,
            shard_queue_bytes=1,
            broker_queue_bytes=1,
        )
        answers.append(int(outcome.status))
        return sent

    sent = await ask(Event("nobody", ("private-encrypted-a", "a b"), "", "x" * 2_000_000))
    sent = await ask(sent._replace(app_id=APP.id), edges=False)
    await ask(sent)
    sent = await ask(sent._replace(channels=("a b",)))
    sent = await ask(sent._replace(channels=("a",)))
    sent = await ask(sent._replace(name="headline"))
    await ask(sent, max_payload=3_000_000)
    sent = await ask(sent._replace(data=f'"{sent.data}"'), max_payload=3_000_000)
    await bus.start()
    await ask(sent, max_payload=3_000_000)
    await ask(sent._replace(data="1"))

    assert [1, 1, 7, 2, 3, 4, 5, 6, 4, 9] == answers
