import json

import pytest

from pogo.bus import Bus
from tests.broker.helpers import listen, make_settings, until
from tests.broker.http.conftest import Cluster
from tests.broker.http.helpers import BATCH, EVENTS, Backend, item, trigger
from tests.edge.helpers import Client


async def test_an_event_reaches_its_channels(backend: Backend, bus: Bus) -> None:
    """`channels` or `channel`, the excluded connection, and 200 with an empty object."""
    heard = [listen(bus, name) for name in ("a", "b", "c")]
    await bus.flush()
    many = await backend.post(EVENTS, trigger(channels=["a", "b", "a"], socket_id="12.34"))
    one = await backend.post(EVENTS, trigger(channels=None, channel="c"))
    await until(lambda: all(heard))

    assert [(200, {}), (200, {})] == [(each.status, each.body) for each in (many, one)]
    assert "application/json" == one.headers["Content-Type"]
    assert [1, 1, 1] == [len(deliveries) for deliveries in heard]
    assert ["12.34", "12.34", ""] == [each.except_socket_id for [each] in heard]
    assert rb'{"event":"headline","channel":"c","data":"{\"a\":1}"}' == heard[2][0].payload


@pytest.mark.parametrize(
    "data", ["", "hello", "1", '{"a" : 1}', "null", "\x00\n\u2028", "Zürich 😀", '"quoted"']
)
async def test_data_is_any_text(backend: Backend, bus: Bus, data: str) -> None:
    """What a back end sends is what browsers get, whether it is JSON or not."""
    heard = listen(bus, "news")
    await bus.flush()
    reply = await backend.post(EVENTS, trigger(data=data))
    batch = await backend.post(BATCH, {"batch": [item(data=data)]})
    await until(lambda: len(heard) == 2)

    assert (200, 200) == (reply.status, batch.status)
    assert [data, data] == [json.loads(each.payload)["data"] for each in heard]


async def test_a_batch(backend: Backend, bus: Bus) -> None:
    """Events of a batch are published in order."""
    heard = listen(bus, "news")
    await bus.flush()
    names = [f"event-{number}" for number in range(10)]
    reply = await backend.post(BATCH, {"batch": [item(name=name) for name in names]})
    empty = await backend.post(BATCH, {"batch": []})
    await until(lambda: len(heard) == len(names))

    assert [(200, {}), (200, {})] == [(each.status, each.body) for each in (reply, empty)]
    assert names == [json.loads(each.payload)["event"] for each in heard]


async def test_servers_tell_users_and_encrypted_channels(backend: Backend, bus: Bus) -> None:
    """`#server-to-user-` and a lone encrypted channel are channels like others."""
    heard = [listen(bus, name) for name in ("#server-to-user-1", "private-encrypted-a")]
    await bus.flush()
    user = await backend.post(EVENTS, trigger(channels=["#server-to-user-1"]))
    encrypted = await backend.post(EVENTS, trigger(channels=["private-encrypted-a"]))
    alike = await backend.post(EVENTS, trigger(channels=["a", "private-encryptedb"]))
    await until(lambda: all(heard))

    assert [200, 200, 200] == [each.status for each in (user, encrypted, alike)]


async def test_unknown_and_repeated_fields(backend: Backend, bus: Bus) -> None:
    """SDKs add fields, and whatever type they say the body has, it is JSON."""
    heard = listen(bus, "b")
    await bus.flush()
    body = b'{"name":"x","x":[{}],"channel":"a","channel":"b","data":"1","tags":null,"info":""}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "nonsense"):
        reply = await backend.post(EVENTS, body, headers={"Content-Type": kind})
        assert (200, {}) == (reply.status, reply.body)
    await until(lambda: len(heard) == 3)


async def test_every_event_that_is_not_too_large_fits_into_a_body(
    backend: Backend, bus: Bus
) -> None:
    """However much of it JSON escapes, and with as many long names as there may be."""
    settings = make_settings()
    channels = [f"{n:0{settings.max_channel_length}}" for n in range(settings.max_channels)]
    heard = listen(bus, channels[-1])
    await bus.flush()
    data = "ä" * (settings.max_payload // 2)
    reply = await backend.post(EVENTS, trigger(channels=channels, name="n" * 200, data=data))
    await until(lambda: bool(heard))

    assert (200, {}) == (reply.status, reply.body)
    assert data == json.loads(heard[0].payload)["data"]


async def test_idempotency_keys(backend: Backend, bus: Bus) -> None:
    """A repeat is answered and not published again; another body is a conflict."""
    heard = listen(bus, "news")
    await bus.flush()
    key = {"X-Idempotency-Key": "key-1"}
    replies = [
        await backend.post(EVENTS, trigger(data="hello"), headers=key),
        await backend.post(EVENTS, trigger(data="hello"), headers=key),
        await backend.post(EVENTS, trigger(data="other"), headers=key),
        await backend.post(BATCH, {"batch": [item()]}, headers=key),
        await backend.post(BATCH, {"batch": [item()]}, headers={"X-Idempotency-Key": "key-2"}),
        await backend.post(BATCH, {"batch": [item()]}, headers={"X-Idempotency-Key": "key-2"}),
        await backend.post(EVENTS, trigger(), headers={"X-Idempotency-Key": "k" * 129}),
        await backend.post(EVENTS, trigger(), headers={"X-Idempotency-Key": "ü"}),
        await backend.post(EVENTS, trigger(name="last"), headers={"X-Idempotency-Key": ""}),
    ]
    await until(lambda: b"last" in heard[-1].payload if heard else False)

    assert [200, 200, 409, 409, 200, 200, 400, 400, 200] == [each.status for each in replies]
    assert (409, "the X-Idempotency-Key was used for another request") == replies[2].error
    assert 3 == len(heard)
    assert "key-1" == heard[0].id


async def test_info_of_what_was_published(cluster: Cluster) -> None:
    """Counts of the whole cluster: users on presence channels, subscriptions on others."""
    one, two = cluster.edges
    async with Client(one.url()) as first, Client(two.url()) as second:
        for client, user in ((first, "1"), (second, "2")):
            await client.subscribe("news")
            await client.subscribe("presence-a", user)
        await first.expect("pusher_internal:member_added")
        both = "user_count,subscription_count"
        event = trigger(channels=["news", "presence-a", "nobody"], info=both)
        reply = await cluster.backend.post(EVENTS, event)
        users = await cluster.backend.post(EVENTS, trigger(info="user_count"))
        items = [item(info="subscription_count"), item(), item(channel="presence-a", info=both)]
        batch = await cluster.backend.post(BATCH, {"batch": items})

    assert (
        200,
        {
            "channels": {
                "news": {"subscription_count": 2},
                "presence-a": {"user_count": 2},
                "nobody": {"subscription_count": 0},
            }
        },
    ) == (reply.status, reply.body)
    assert {"channels": {"news": {}}} == users.body
    assert {"batch": [{"subscription_count": 2}, {}, {"user_count": 2}]} == batch.body
    assert "X-Pogo-Incomplete" not in reply.headers


async def test_info_that_nobody_tells_does_not_fail_the_event(backend: Backend) -> None:
    """The event is published: the answer is 200, with a lower bound and a header that says so."""
    reply = await backend.post(EVENTS, trigger(info="subscription_count"))

    assert (200, {"channels": {"news": {"subscription_count": 0}}}) == (reply.status, reply.body)
    assert "true" == reply.headers["X-Pogo-Incomplete"]
