"""Every service of Pogo as a process, with clients and faults to count, and a Prometheus.

async with MonitoredStack(tmp_path) as stack:
    ...  # await stack.prometheus.query("up")
"""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from tests.cli.process import Pogo
from tests.deploy.promql import RULES
from tests.servers import HOST, NatsServer, ServerProcess
from tests.tls.authority import Authority
from tests.tls.helpers import believing
from tests.webhook_receiver import Answer, WebhookReceiver

JOBS = ("edge", "broker", "authsvc")
WORKERS = 2
"""Workers of the edge."""

TIMEOUT = 30.0
"""Seconds that anything may take."""

_ORIGIN = "https://shop.example"
_INTERVAL = "2s"
_LOOK_AGAIN = 0.2
_APP = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": "secret-of-the-shop"}
_PORTS = {"POGO_PORT": "0", "POGO_GRPC_PORT": "0", "POGO_METRICS_PORT": "0"}

# What Prometheus has of its own, and adds to what it reads.
_TARGET_LABELS = frozenset({"job", "instance"})
_OF_PROMETHEUS = {
    "up": _TARGET_LABELS,
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
}


class Prometheus(ServerProcess):
    """A Prometheus with the rules of the stack, and the ports of its jobs."""

    name = "prometheus"

    def __init__(self, directory: Path, jobs: Mapping[str, int]) -> None:
        super().__init__(directory)
        self._jobs = dict(jobs)

    async def query(self, text: str) -> list[dict[str, Any]]:
        """Return the series that a query has now."""
        found: list[dict[str, Any]] = (await self._ask("query", query=text))["result"]
        return found

    async def alerts(self) -> set[tuple[str, str]]:
        """Name the alerts that are pending or firing, with which of it they are.

        A rule that cannot be evaluated is one that is broken.
        """
        states = set()
        for group in (await self._ask("rules"))["groups"]:
            for rule in group["rules"]:
                if rule["health"] == "err":
                    states.add((rule["name"], "broken"))
                states |= {(rule["name"], alert["state"]) for alert in rule["alerts"]}
        return states

    async def _ask(self, what: str, **query: str) -> dict[str, Any]:
        url = f"http://{HOST}:{self.port}/api/v1/{what}"
        async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
            body = await answer.json()
        assert "success" == body["status"], body
        data: dict[str, Any] = body["data"]
        return data

    def _command(self, port: int) -> list[str]:
        config = self.directory / "prometheus.json"
        config.write_text(
            json.dumps(
                {
                    "global": {
                        "scrape_interval": _INTERVAL,
                        "scrape_timeout": _INTERVAL,
                        "evaluation_interval": _INTERVAL,
                    },
                    "rule_files": [str(path) for path in RULES],
                    "scrape_configs": [
                        {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{target}"]}]}
                        for job, target in self._jobs.items()
                    ],
                }
            )
        )
        return [
            *("prometheus", f"--config.file={config}", "--log.level=warn"),
            *(f"--storage.tsdb.path={self.directory}", f"--web.listen-address={HOST}:{port}"),
        ]

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # a port that is taken ends it
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(b"GET /-/ready HTTP/1.0\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()


class MonitoredStack:
    """Two workers of an edge, a broker and an auth service, on NATS, and what watches them.

    Where a label is known only once something has happened, it has happened: see `_use`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._exit = AsyncExitStack()
        self.nats = NatsServer(directory / "nats")
        self._authority = Authority(directory / "authority")
        self._hooks = WebhookReceiver()
        self._worker = WebhookReceiver()
        self._worker.always = Answer(status=403)
        self.prometheus: Prometheus

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    async def samples(self) -> dict[str, frozenset[str]]:
        """Return all that the services show: the names of samples, and the labels of each."""
        samples = dict(_OF_PROMETHEUS)
        for port in self._jobs.values():
            for family in text_string_to_metric_families(await _get(port, "/metrics")):
                for sample in family.samples:
                    known = samples.get(sample.name, _TARGET_LABELS)
                    samples[sample.name] = known | sample.labels.keys()
        return samples

    async def _start(self) -> None:
        for server in (self.nats, self._hooks, self._worker):
            await self._exit.enter_async_context(server)
        bus = {"POGO_BUS": "nats", "POGO_NATS_URL": self.nats.url}
        hooks = {"POGO_WEBHOOK_URL": self._hooks.url}
        issued = self._authority.issue()
        auth = await self._run(
            "authsvc", {"POGO_AUTH_UPSTREAM": self._worker.url.partition("/hooks")[0]}
        )
        broker = await self._run("broker", {**bus, **hooks})
        edge = await self._run(
            "edge",
            {
                **bus,
                **hooks,
                "POGO_WORKERS": str(WORKERS),
                "POGO_TLS_CERT": str(issued.certificate),
                "POGO_TLS_KEY": str(issued.key),
                "POGO_SUBSCRIBE_WITHOUT_AUTH": "true",
                "POGO_AUTH_SERVICE": f"{HOST}:{auth['grpc_port']}",
                "POGO_ALLOWED_ORIGINS": _ORIGIN,
            },
        )
        ready = zip(JOBS, (edge, broker, auth), strict=True)
        self._jobs = {job: int(line["metrics_port"]) for job, line in ready}
        await self._use(edge["port"], broker["port"])
        self.prometheus = Prometheus(self._directory / "prometheus", self._jobs)
        await self._exit.enter_async_context(self.prometheus)

    async def _run(self, command: str, settings: Mapping[str, str]) -> dict[str, Any]:
        directory = self._directory / command
        directory.mkdir()
        env = {**_APP, **_PORTS, **settings}
        pogo = await self._exit.enter_async_context(Pogo(directory, command, env=env))
        return await pogo.logged("ready")

    async def _use(self, edge_port: int, broker_port: int) -> None:
        """Have clients that are let in, refused and cut off, and a broker that posts webhooks."""
        await self._subscribe(edge_port, "shop", ["cache-news", "private-orders"])
        await self._subscribe(edge_port, "no-such-key", [])
        await _get(broker_port, "/apps/shop/channels")

        async def leads() -> bool:
            return "pogo_websocket_webhook_queue_events" in await self.samples()

        assert await comes_true(leads), "no broker looks after webhooks"

    async def _subscribe(self, port: int, key: str, channels: Sequence[str]) -> None:
        """Subscribe, wait for an answer about each channel, and for the first message at least."""
        url = f"wss://{HOST}:{port}/app/{key}?protocol=7"
        async with (
            asyncio.timeout(TIMEOUT),
            connect(
                url, ssl=believing(self._authority), additional_headers={"Origin": _ORIGIN}
            ) as client,
        ):
            await client.recv()
            waits = set(channels)
            for channel in channels:
                data = {"channel": channel}
                await client.send(json.dumps({"event": "pusher:subscribe", "data": data}))
            while waits:
                waits.discard(json.loads(await client.recv()).get("channel"))


async def comes_true(look: Callable[[], Awaitable[bool]]) -> bool:
    """Look again and again; whether it came true in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            while not await look():  # noqa: ASYNC110 (other processes change)
                await asyncio.sleep(_LOOK_AGAIN)
            return True
    return False


async def _get(port: int, path: str) -> str:
    url = f"http://{HOST}:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()
