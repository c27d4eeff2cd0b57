"""How an app's rates look to those who come by HTTP."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
import pusher.client
import pusher.http
import pytest_asyncio
from pydantic import SecretStr

from pogo.broker.http import HttpServer
from pogo.bus import channel_subject
from pogo.bus.memory import MemoryBus
from pogo.registry.memory import MemoryRegistry
from pogo.settings import App
from tests.broker.helpers import (
    RunningBroker,
    bearer,
    make_settings,
    memory_bus,
    request,
    running_broker,
    token,
)
from tests.servers import HOST

RATES = App(
    id="1",
    secret=SecretStr("a-secret-of-an-app-that-has-rates-of-its-own"),
    event_rate=0.1,
    read_rate=0.1,
)
"""One event and one question, and then none for ten seconds. SDKs want numbers for ids."""

FREE = App(id="2", secret=SecretStr("a-secret-of-an-app-that-has-no-rates-of-its-own"))

TRIGGER: Mapping[str, object] = {"name": "e", "channel": "news", "data": "{}"}


@dataclass
class Api:
    """An HTTP API, and what asks it as a server SDK does."""

    broker: RunningBroker
    port: int
    session: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, params: Mapping[str, object] | None = None, app: App = RATES
    ) -> tuple[int, Mapping[str, str], object]:
        """Send a signed request; returns the status, the headers and the JSON of the answer."""
        secret = app.secret.get_secret_value()
        signer = pusher.client.Client(app.id, app.key, secret, host=HOST, ssl=False)
        signed = pusher.http.Request(signer, method, f"/apps/{app.id}{path}", params or {})
        url = f"http://{HOST}:{self.port}{signed.signed_path}"
        async with self.session.request(method, url, data=signed.body or None) as response:
            return response.status, response.headers, await response.json()

    async def trigger(self, app: App = RATES, **fields: object) -> tuple[int, Mapping[str, str]]:
        """Publish an event; returns the status and the headers of the answer."""
        status, headers, _ = await self.ask("POST", "/events", {**TRIGGER, **fields}, app)
        return status, headers


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


@pytest_asyncio.fixture(name="api")
async def _api(bus: MemoryBus) -> AsyncIterator[Api]:
    """A broker without any edge that would have to be asked."""
    settings = make_settings(apps=(RATES, FREE), port=0)
    broker_alone = running_broker(bus, settings, registry=MemoryRegistry())
    async with broker_alone as broker, aiohttp.ClientSession() as session:
        server = HttpServer(settings, broker.server.http_api, lambda: "")
        await server.start()
        try:
            yield Api(broker, server.port, session)
        finally:
            await server.stop()


def told(headers: Mapping[str, str]) -> list[str | None]:
    """Return what the headers say of a rate."""
    return [headers.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset")]


async def test_events(api: Api, bus: MemoryBus) -> None:
    """Each answer says what is left; over the rate it is 429, and nothing is published."""
    heard: list[bytes] = []
    bus.subscribe(channel_subject(RATES.id, "news"), heard.append)
    done, refused = await api.trigger(), await api.trigger()

    assert (200, ["1", "0", "10"]) == (done[0], told(done[1]))
    assert "Retry-After" not in done[1]
    assert (429, ["1", "0"]) == (refused[0], told(refused[1])[:2])
    assert refused[1]["Retry-After"] in ("9", "10")
    assert refused[1]["X-RateLimit-Reset"] in ("9", "10")
    assert 1 == len(heard)
    assert 1.0 == api.broker.metrics.get_sample_value(
        "pogo_websocket_rate_limited_calls_total", {"kind": "events"}
    )


async def test_batches_and_broadcasts(api: Api) -> None:
    """Every channel of every event counts; a large request is paid for before the next one."""
    batch = {"batch": [TRIGGER] * 10}
    status, headers, _ = await api.ask("POST", "/batch_events", batch)
    later = await api.trigger(channel=None, channels=["a", "b"])

    assert (200, ["1", "0", "100"]) == (status, told(headers))
    assert 429 == later[0]
    assert later[1]["Retry-After"] in ("99", "100")


async def test_what_is_refused_otherwise(api: Api) -> None:
    """A bad request costs nothing, and its answer says how the app stands."""
    status, headers, _ = await api.ask("POST", "/events", {"name": "e"})

    assert (400, ["1", "1", "0"]) == (status, told(headers))


async def test_questions(api: Api) -> None:
    """They have a rate of their own, one for all that can be asked."""
    first = await api.ask("GET", "/channels")
    paths = ("/channels", "/channels/news", "/channels/presence-a/users", "/connections")
    refused = [await api.ask("GET", path) for path in paths]
    refused.append(await api.ask("POST", "/users/7/terminate_connections"))

    assert (200, ["1", "0", "10"]) == (first[0], told(first[1]))
    for status, headers, answer in refused:
        assert 429 == status
        assert headers["Retry-After"] in ("9", "10")
        assert isinstance(answer, dict)
        assert answer["error"].startswith("the app has reached its rate of 0.1 reads a second")
    assert 200 == (await api.trigger())[0]
    assert 5.0 == api.broker.metrics.get_sample_value(
        "pogo_websocket_rate_limited_calls_total", {"kind": "reads"}
    )


async def test_apps_without_a_rate(api: Api) -> None:
    """Nothing counts, and nothing is said."""
    answers = [await api.trigger(FREE) for _ in range(10)]
    answers += [(await api.ask("GET", "/channels", app=FREE))[:2] for _ in range(10)]

    assert {200} == {status for status, _ in answers}
    assert [None] * 3 == told(answers[-1][1])


async def test_a_reload_changes_rates(api: Api) -> None:
    """A rate that is taken away counts no more, whatever was owed."""
    await api.trigger(channel=None, channels=["a", "b", "c", "d"])
    assert 429 == (await api.trigger())[0]
    unlimited = RATES.model_copy(update={"event_rate": -1.0})
    api.broker.server.replace_apps([unlimited])

    status, headers = await api.trigger(unlimited)
    assert (200, [None] * 3) == (status, told(headers))


async def test_grpc_and_http_share_a_rate(api: Api) -> None:
    """An event is an event, whichever way it comes."""
    call = api.broker.stub.Publish(
        request(app_id=RATES.id), metadata=bearer(token(RATES)), timeout=5
    )
    assert 0 == (await call).status
    assert 429 == (await api.trigger())[0]
