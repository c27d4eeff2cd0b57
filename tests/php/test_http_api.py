"""The transport `http`, against Pogo's HTTP API: of `pogo serve`, and of brokers on NATS."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pogo.settings import App
from tests.e2e.application import Application
from tests.e2e.cluster import running_cluster
from tests.edge.helpers import Client
from tests.php.conftest import StartPhp
from tests.php.process import BROADCAST_MULTI, PUBLISH, Php
from tests.php.relay import Relay
from tests.servers import HOST

TEXT = json.dumps({"title": "Grüße/世界 🎉"}, ensure_ascii=False)
EVENT = ("news", "headline", TEXT)
APP = App(id="php-app", key="php-key", secret=SecretStr(secrets.token_hex(16)))
SLOW = App(id="slow-app", secret=SecretStr(secrets.token_hex(16)), event_rate=0.1)


@dataclass(frozen=True, slots=True)
class Api:
    """A running API, and an edge whose clients hear what it is told."""

    port: int
    edge_port: int
    keeps_connections: bool

    @property
    def url(self) -> str:
        """Where `/apps/{id}` begins."""
        return f"http://{HOST}:{self.port}"

    def subscriber(self) -> Client:
        """Return a client of the edge, to be connected."""
        return Client(f"ws://{HOST}:{self.edge_port}/app/{APP.key}?protocol=7")


@pytest.fixture(name="api", scope="module", params=["serve", "nats"])
def _api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    slow = f'id = "{SLOW.id}"\nsecret = "{SLOW.secret.get_secret_value()}"\n'
    (folder / "pogo.toml").write_text(f"[[apps]]\n{slow}event_rate = {SLOW.event_rate}\n")
    application = Application(APP.id, APP.key, APP.secret.get_secret_value(), "")
    with running_cluster(request.param, application, folder) as cluster:
        edge, broker = cluster.edges[0], cluster.brokers[-1]
        # On the port of its WebSockets, `pogo serve` closes other connections after each answer.
        yield Api(broker.http_port, edge.port, request.param != "serve")
    assert [] == cluster.errors()


@pytest_asyncio.fixture(name="php")
async def _php(api: Api, start_php: StartPhp) -> AsyncIterator[Php]:
    async with start_php("unused:1", APP, TRANSPORT="http", URL=api.url) as php:
        yield php


async def event(client: Client) -> tuple[str, str, str]:
    """Receive the next event; returns its channel, name and data."""
    message: dict[str, Any] = await client.receive()
    return message["channel"], message["event"], message["data"]


async def test_events(api: Api, php: Php) -> None:
    """What the class and the functions publish arrives, once, its data untouched."""
    async with api.subscriber() as client:
        for channel in ("news", "a", "b"):
            await client.subscribe(channel)

        assert (0, "") == await php.outcome("publish", *EVENT)
        assert EVENT == await event(client)
        assert (0, "") == await php.outcome("broadcast", ["a", "b"], "headline", TEXT)
        assert {"a", "b"} == {(await event(client))[0] for _ in range(2)}
        assert 0 == await php.code(PUBLISH, APP.id, *EVENT)
        assert EVENT == await event(client)
        assert 0 == await php.code(BROADCAST_MULTI, APP.id, '["a"]', "headline", TEXT)
        assert ("a", "headline", TEXT) == await event(client)
        await client.silent()
    assert "" == php.log


async def test_the_excluded_connection(api: Api, php: Php) -> None:
    """The one that an event came from does not get it; all others do."""
    async with api.subscriber() as one, api.subscriber() as two:
        for client in (one, two):
            await client.subscribe("news")
        await php.outcome("publish", *EVENT, one.socket_id)
        await php.outcome("broadcast", ["news"], "second", "{}", one.socket_id)
        await php.call("publishBatch", ("news", "third", "{}", one.socket_id), ("news", "last", ""))

        assert ["headline", "second", "third", "last"] == [(await event(two))[1] for _ in range(4)]
        assert "last" == (await event(one))[1]


async def test_batches(api: Api, php: Php) -> None:
    """A batch goes in calls of ten, and arrives in its order."""
    async with api.subscriber() as client:
        await client.subscribe("news")
        events = [("news", "headline", str(number)) for number in range(25)]

        assert {"outcomes": [[0, ""]] * 25} == await php.call("publishBatch", *events)
        assert [str(number) for number in range(25)] == [(await event(client))[2] for _ in events]


async def test_codes(php: Php) -> None:
    """What is wrong with an event is told by the same codes as by gRPC, and in words."""
    large, huge = "x" * 300_000, "x" * 5_000_000
    wrong = [("no spaces", "e", ""), ("c" * 201, "e", ""), ("news", "e" * 201, "")]
    sizes = [("news", "e", large), ("news", "e", huge)]
    outcomes = [await php.outcome("publish", *arguments) for arguments in (*wrong, *sizes)]

    assert [2, 2, 3, 4, 4] == [code for code, _ in outcomes]
    assert all(detail for _, detail in outcomes)
    sealed = '["a", "private-encrypted-b"]'
    many = json.dumps([f"c{number}" for number in range(101)])
    for channels in (sealed, many, "[]", "news", '{"a": "b"}', "[1]"):
        assert 7 == await php.code(BROADCAST_MULTI, APP.id, channels, "headline", "{}"), channels
    # Of one event in a batch, it is said of all: none of them was published.
    answer = await php.call("publishBatch", EVENT, ("no spaces", "e", ""))
    assert [2, 2] == [code for code, _ in answer["outcomes"]]
    # Unlike by gRPC, data may be any text.
    assert 0 == await php.code(PUBLISH, APP.id, "news", "headline", "no JSON")


async def test_who_may_not_publish(api: Api, php: Php, start_php: StartPhp) -> None:
    """A signature by another secret is refused, and neither is shown; so is an app nobody has."""
    wrong = "a-wrong-secret-that-nobody-may-see"
    thief = APP.model_copy(update={"secret": SecretStr(wrong)})
    async with start_php("unused:1", thief, TRANSPORT="http", URL=api.url) as other:
        answer = await other.call("publish", *EVENT)

        assert "UNAUTHENTICATED" == answer["error"]
        assert "signature" in answer["message"]
        assert 6 == await other.code(PUBLISH, APP.id, *EVENT)
        assert wrong not in other.log
        assert "auth_signature=" not in other.log
    assert 6 == await php.code(PUBLISH, "nobody", *EVENT)
    assert "pogo: not published: NOT_FOUND: HTTP status 404" in php.log


async def test_behind_a_prefix(api: Api, start_php: StartPhp) -> None:
    """A proxy may pass a prefix on that the client has not signed."""
    async with start_php("unused:1", APP, TRANSPORT="http", URL=f"{api.url}/ws/v1") as php:
        assert (0, "") == await php.outcome("publish", *EVENT)


async def test_connections(api: Api, start_php: StartPhp) -> None:
    """A broker keeps the connection open for as long as PHP lives."""
    async with Relay(api.port) as relay:
        url = f"http://{relay.address}"
        async with start_php("unused:1", APP, TRANSPORT="http", URL=url) as php:
            for _ in range(3):
                assert (0, "") == await php.outcome("publish", *EVENT)
            # Two calls: one of ten events, one of two.
            await php.call("publishBatch", *[EVENT] * 12)

            assert (1 if api.keeps_connections else 5) == relay.connections


async def test_an_answer_that_is_lost(api: Api, start_php: StartPhp) -> None:
    """The call is made again, by the same idempotency key: the event is published once."""
    async with Relay(api.port) as relay, api.subscriber() as client:
        await client.subscribe("news")
        url = f"http://{relay.address}"
        async with start_php("unused:1", APP, TRANSPORT="http", URL=url) as php:
            relay.lose_answers()
            publishing = asyncio.create_task(php.outcome("publish", *EVENT))
            assert EVENT == await event(client)
            await relay.drop()

            assert (0, "") == await publishing
            assert 2 == relay.connections
            assert (0, "") == await php.outcome("publish", "news", "fence", "")
        assert ("news", "fence", "") == await event(client)


async def test_a_message_id_that_was_used(php: Php, api: Api) -> None:
    """It publishes nothing again, and for something else it is refused."""
    message_id = secrets.token_hex(8)
    async with api.subscriber() as client:
        await client.subscribe("news")
        for _ in range(2):
            assert (0, "") == await php.outcome("publish", *EVENT, None, message_id)
        answer = await php.call("publish", "news", "other", "{}", None, message_id)

        assert "ALREADY_EXISTS" == answer["error"]
        assert EVENT == await event(client)
        await client.silent()


async def test_over_the_rate(api: Api, start_php: StartPhp) -> None:
    """An app that has reached its rate is told so, as it is told of a full queue."""
    async with start_php("unused:1", SLOW, TRANSPORT="http", URL=api.url) as php:
        outcomes = [await php.outcome("publish", *EVENT) for _ in range(2)]

        assert [0, 8] == [code for code, _ in outcomes]
        assert "the app has reached its rate of 0.1 events a second" in outcomes[1][1]
