"""Webhooks lose nothing and keep their order: brokers are killed, and the endpoint fails.

Everything is real: `pogo broker` processes, nats-server and redis-server, an HTTP endpoint. Events
are stored as edges store them. Both buses are tried at the same time.
"""

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from pogo.cli.buses import open_webhook_store
from pogo.settings import Settings
from pogo.webhooks import DEFAULT_ENDPOINT, WebhookStore
from tests.broker.deliveries import in_order, make_items
from tests.broker.helpers import APP
from tests.cli.process import Pogo
from tests.servers import HOST, NatsServer, RedisServer, ServerProcess
from tests.webhook_receiver import CUT, FAILURE, HANG, OK, Answer, WebhookReceiver
from tests.webhooks.helpers import opened

KILLS = 3
CHANNELS = 20
BATCH = 10
"""Events that are stored together."""

EVENTS_PER_SECOND = 500
AWAY = 60.0
"""Seconds for which the endpoint is away."""

LONGEST_PAUSE = 40.0
"""Seconds until events flow again: a dead broker is found dead after 6, and after a minute of
failures the pause before the next attempt may be 30."""

_LED = re.compile(r"^pogo_websocket_webhook_apps_led 1\.0$", re.MULTILINE)
_DURABLE = ["appendonly yes", "appendfsync always"]


@dataclass
class Scene:
    """One bus with an endpoint, and what has been stored for it."""

    name: str
    directory: Path
    environment: dict[str, str]
    store: WebhookStore
    receiver: WebhookReceiver
    stored: int = 0
    brokers: int = 0

    @contextlib.asynccontextmanager
    async def broker(self) -> AsyncIterator[Pogo]:
        """Run one more broker."""
        self.brokers += 1
        directory = self.directory / f"broker-{self.brokers}"
        directory.mkdir()
        async with Pogo(directory, "broker", env=self.environment) as broker:
            await broker.logged("ready")
            yield broker

    async def store_events(self, stopping: asyncio.Event) -> None:
        """Store events at a steady pace, until it is told to stop."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in itertools.count():
            await asyncio.sleep(started + number * BATCH / EVENTS_PER_SECOND - loop.time())
            if stopping.is_set():
                return
            await self.store_some(BATCH)

    async def store_some(self, count: int) -> None:
        """Store the next events."""
        numbers = range(self.stored, self.stored + count)
        events = [(f"private-{number % CHANNELS}", number) for number in numbers]
        assert {None} == set(await self.store.enqueue(make_items(events, DEFAULT_ENDPOINT)))
        self.stored += count

    async def until_it_posts(self) -> None:
        """Wait until some more requests were answered, and another one is under way."""
        count = len(self.receiver.requests) + 5
        await self.receiver.until_requests(count)
        await self.receiver.until(lambda: self.receiver.in_flight > 0)

    async def until_all_arrived(self) -> None:
        """Wait until everything that was stored has been accepted."""
        await self.receiver.until(lambda: self._distinct() == self.stored, LONGEST_PAUSE)

    def report(self) -> str:
        """Put the figures in one line."""
        times = [got.at for got in self.receiver.requests if got.is_accepted]
        gap = max(later - earlier for earlier, later in itertools.pairwise(times))
        repeats = len(self.receiver.events) - self._distinct()
        statuses = dict(Counter(self.receiver.statuses))
        return (
            f"{self.name}: {self.stored} events stored, lost {self.stored - self._distinct()}, "
            f"repeated {repeats}, in order {in_order(self.receiver.events)}; "
            f"requests by status {statuses}, longest silence {gap:.1f} s"
        )

    def _distinct(self) -> int:
        return len({event["id"] for event in self.receiver.events})


@contextlib.asynccontextmanager
async def scene(name: str, directory: Path) -> AsyncIterator[Scene]:
    """Start a bus and an endpoint."""
    await asyncio.to_thread(directory.mkdir)
    place = directory / "server"
    server: ServerProcess = NatsServer(place)
    if name == "redis":
        server = RedisServer(place, config=_DURABLE)
    async with server, WebhookReceiver() as receiver:
        changes = {"bus": name, "webhook_url": receiver.url, f"{name}_port": server.port}
        if name == "nats":
            changes["nats_url"] = f"nats://{HOST}:{changes.pop('nats_port')}"
        environment = {f"POGO_{key.upper()}": str(value) for key, value in changes.items()}
        environment |= dict.fromkeys(("POGO_PORT", "POGO_GRPC_PORT", "POGO_METRICS_PORT"), "0")
        environment |= {
            "POGO_APP_ID": APP.id,
            "POGO_APP_KEY": APP.key,
            "POGO_APP_SECRET": APP.secret.get_secret_value(),
        }
        async with opened(open_webhook_store(Settings.model_validate(changes))) as store:
            yield Scene(name, directory, environment, store, receiver)


async def on_both(directory: Path, run: Callable[[Scene], Awaitable[None]]) -> None:
    """Run the same on NATS and on Redis."""

    async def run_on(name: str) -> None:
        async with scene(name, directory / name) as on:
            await run(on)

    async with asyncio.TaskGroup() as group:
        for name in ("nats", "redis"):
            group.create_task(run_on(name))


async def the_leader(*brokers: Pogo) -> Pogo:
    """Wait until exactly one broker looks after the app, and return it."""
    async with asyncio.timeout(LONGEST_PAUSE), aiohttp.ClientSession() as session:
        while True:
            leaders = [broker for broker in brokers if await _leads(session, broker)]
            if len(leaders) == 1:
                return leaders[0]
            await asyncio.sleep(0.1)


async def _leads(session: aiohttp.ClientSession, broker: Pogo) -> bool:
    port = (await broker.logged("ready"))["metrics_port"]
    async with session.get(f"http://{HOST}:{port}/metrics") as response:
        return _LED.search(await response.text()) is not None


@pytest.mark.chaos
@pytest.mark.timeout(180)
async def test_the_delivering_broker_is_killed(tmp_path: Path) -> None:
    """The broker that posts is killed in the midst of a request, again and again."""

    async def run(on: Scene) -> None:
        on.receiver.always = Answer(after=0.05)
        stopping = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            brokers = [await stack.enter_async_context(on.broker()) for _ in range(2)]
            group.create_task(on.store_events(stopping))
            for _ in range(KILLS):
                leader = await the_leader(*brokers)
                await on.until_it_posts()
                leader.process.kill()
                await leader.process.wait()
                brokers.remove(leader)
                brokers.append(await stack.enter_async_context(on.broker()))
            await the_leader(*brokers)
            stopping.set()
            await on.until_all_arrived()

        print(on.report())  # noqa: T201 (the figures are what the run is for)
        assert in_order(on.receiver.events)
        assert on.receiver.verifies(APP.key, APP.secret.get_secret_value())
        assert on.stored > 1000

    await on_both(tmp_path, run)


@pytest.mark.chaos
@pytest.mark.timeout(180)
async def test_the_endpoint_fails_in_every_way(tmp_path: Path) -> None:
    """Errors, silence, hung-up connections and requests for a pause come between the batches."""
    failures = [FAILURE, HANG, CUT, Answer(503, {"Retry-After": "1"})]

    async def run(on: Scene) -> None:
        on.environment["POGO_WEBHOOK_TIMEOUT"] = "1s"
        stopping = asyncio.Event()
        on.receiver.answer_next(*[each for failure in failures * 5 for each in (failure, OK)])
        async with on.broker(), asyncio.TaskGroup() as group:
            group.create_task(on.store_events(stopping))
            await on.receiver.until_requests(2 * 5 * len(failures), within=60.0)
            stopping.set()
            await on.until_all_arrived()

        print(on.report())  # noqa: T201 (the figures are what the run is for)
        assert in_order(on.receiver.events)
        assert len(on.receiver.events) == on.stored
        counts = Counter(on.receiver.statuses)
        assert (5, 5, 5) == (counts[500], counts[503], counts[0])
        # Those that it hangs on: it has not noticed that nobody waits for them any more.
        assert 5 == on.receiver.in_flight

    await on_both(tmp_path, run)


@pytest.mark.chaos
@pytest.mark.timeout(180)
async def test_the_endpoint_is_away_for_a_minute(tmp_path: Path) -> None:
    """What happens while nobody listens arrives when somebody does again, once and in order."""

    async def run(on: Scene) -> None:
        stopping = asyncio.Event()
        async with on.broker(), asyncio.TaskGroup() as group:
            group.create_task(on.store_events(stopping))
            await on.receiver.until(lambda: len(on.receiver.events) > 500)
            await on.receiver.down()
            before, started = on.stored, time.monotonic()
            await asyncio.sleep(AWAY)
            await on.receiver.up()
            meanwhile, took = on.stored - before, time.monotonic() - started
            stopping.set()
            await on.until_all_arrived()

        print(on.report(), f"; {meanwhile} stored in {took:.0f} s without an endpoint")  # noqa: T201
        assert in_order(on.receiver.events)
        assert meanwhile > EVENTS_PER_SECOND * AWAY / 2

    await on_both(tmp_path, run)
