"""The transport `http`, against a server that answers as no server of Pogo's can be made to.

Against Pogo's own HTTP API it is tested in `test_http_api.py`.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.broker.helpers import APP
from tests.php.conftest import StartPhp
from tests.php.process import BROADCAST_MULTI, PUBLISH, Php
from tests.php.pusher_api import PusherApi
from tests.servers import free_port

TEXT = json.dumps({"title": "Grüße/世界 🎉"}, ensure_ascii=False)
EVENT = ("news", "headline", TEXT)


@pytest_asyncio.fixture(name="api")
async def _api() -> AsyncIterator[PusherApi]:
    async with PusherApi() as api:
        yield api


@pytest_asyncio.fixture(name="php")
async def _php(api: PusherApi, start_php: StartPhp) -> AsyncIterator[Php]:
    async with start_php("unused:1", TRANSPORT="http", URL=api.url) as php:
        yield php


async def test_requests(api: PusherApi, php: Php) -> None:
    """Each call has an idempotency key of its own; a batch goes in calls of ten."""
    assert (0, "") == await php.outcome("publish", *EVENT, "1.2", "my-id")
    assert (0, "") == await php.outcome("broadcast", ["a", "b"], "headline", TEXT)
    await php.call("publishBatch", *[EVENT] * 12)

    event = {"name": "headline", "data": TEXT}
    items = [{**event, "channel": "news"}] * 12
    expected = [
        {**event, "channels": ["news"], "socket_id": "1.2"},
        {**event, "channels": ["a", "b"]},
        {"batch": items[:10]},
        {"batch": items[10:]},
    ]

    assert expected == api.requests
    assert "my-id" == api.ids[0]
    assert 4 == len(set(api.ids))


async def test_codes(api: PusherApi, php: Php) -> None:
    """A server's own codes are passed on; of HTTP's, those that have one meaning have a code."""
    api.answers += [(400, json.dumps({"code": code, "error": "why"})) for code in range(1, 10)]
    own = [await php.code(PUBLISH, APP.id, *EVENT) for _ in range(9)]
    api.answers += [(413, "too large"), (429, "slower"), (503, "later")]
    plain = [await php.code(PUBLISH, APP.id, *EVENT) for _ in range(3)]

    assert [*range(1, 10)] == own
    assert [4, 8, 8] == plain
    assert 7 == await php.code(BROADCAST_MULTI, APP.id, '["a"', "headline", "{}")
    assert 7 == await php.code(BROADCAST_MULTI, APP.id, '{"a": "b"}', "headline", "{}")
    assert 7 == await php.code(BROADCAST_MULTI, APP.id, "[1]", "headline", "{}")
    assert 12 == len(api.requests)


async def test_errors(api: PusherApi, php: Php) -> None:
    """What has no code is an exception with the server's words, and 6 from a function."""
    api.answers += [(400, "Invalid channel")] * 2
    answer = await php.call("publish", *EVENT)

    assert "INVALID_ARGUMENT" == answer["error"]
    assert "Invalid channel" in answer["message"]
    assert 6 == await php.code(PUBLISH, APP.id, *EVENT)
    assert "pogo: not published: INVALID_ARGUMENT: HTTP status 400: Invalid channel" in php.log
    # A code that is said of a call holds for all of its events.
    api.answers += [(200, "{}"), (429, "slower")]
    answer = await php.call("publishBatch", *[EVENT] * 12)

    assert [0] * 10 + [8] * 2 == [code for code, _ in answer["outcomes"]]


@pytest.mark.parametrize("calls_before", [0, 3])
async def test_an_answer_that_is_lost(api: PusherApi, php: Php, calls_before: int) -> None:
    """A call whose answer is lost is made again, with the same idempotency key."""
    for _ in range(calls_before):
        await php.outcome("publish", *EVENT)
    api.losses = 1

    assert (0, "") == await php.outcome("publish", *EVENT)
    assert 2 + calls_before == len(api.requests)
    assert 1 == len(set(api.ids[calls_before:]))


async def test_answers_that_are_lost_for_ever(api: PusherApi, php: Php) -> None:
    """There is one retry, and not a third attempt."""
    api.losses = 100
    answer = await php.call("publish", *EVENT)

    assert "UNAVAILABLE" == answer["error"]
    assert 2 == len(api.requests)


async def test_an_answer_that_is_too_large(api: PusherApi, php: Php) -> None:
    """No server fills our memory."""
    api.answers += [(400, "x" * 1_000_000)]

    assert "RESOURCE_EXHAUSTED" == (await php.call("publish", *EVENT))["error"]
    assert (0, "") == await php.outcome("publish", *EVENT)


async def test_a_server_that_does_not_answer(start_php: StartPhp) -> None:
    """It costs the time that a call may take, and no more."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = {"TRANSPORT": "http", "URL": url, "TIMEOUT": "300ms"}
    async with server, start_php("unused:1", **settings) as php:
        begun = time.monotonic()
        answer = await php.call("publish", *EVENT)

        assert "DEADLINE_EXCEEDED" == answer["error"]
        assert 0.2 < time.monotonic() - begun < 0.8


async def test_nobody_listens(start_php: StartPhp) -> None:
    """A server that is not there is 6 from a function, and logged."""
    url = f"http://127.0.0.1:{free_port()}"
    async with start_php("unused:1", TRANSPORT="http", URL=url) as php:
        assert 6 == await php.code(PUBLISH, APP.id, *EVENT)
        assert f"pogo: not published: UNAVAILABLE: {url}: Failed to connect" in php.log
