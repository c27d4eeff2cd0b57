"""What NATS says: of itself, of the streams that hold Pogo's state, and of the time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from pogo.bus import BusError, BusUnavailableError
from pogo.bus.connection import CONFIRM_TIMEOUT
from pogo.bus.nats_client import Address
from pogo.bus.nats_jetstream import JetStreamSession, NoJetStreamError
from pogo.bus.nats_messages import (
    NOT_ENABLED,
    STREAM_NOT_FOUND,
    Headers,
    NoRespondersError,
    StreamOptions,
    pub,
)
from pogo.bus.nats_session import NatsServers
from pogo.cli.buses import CACHE_BUCKET, MESSAGES_BUCKET, nats_login
from pogo.cli.doctor.bus_server import (
    BusServer,
    Stopwatch,
    connection_advice,
    reason_of,
    size,
)
from pogo.cli.doctor.findings import Finding, ok, warning, worst, wrong
from pogo.cli.doctor.nats_streams import StreamInfo, Wanted, decode_info, judge_stream
from pogo.cluster.nodes import Node, node_of
from pogo.registry import nats_wire
from pogo.registry.keys import NODES
from pogo.registry.nats_snapshot import read_entries
from pogo.settings import Settings
from pogo.webhooks.nats_wire import LEDGERS_STREAM, MIN_PAYLOAD, QUEUES_STREAM

_ENVELOPE = 4096
"""Bytes around the data of an event on the bus: names, ids, and what JSON escapes at the least."""

_REPLICAS_OF_CLUSTER = 3

_NO_JETSTREAM = wrong(
    "JetStream is off on this nats-server, and it is what holds the state of the cluster",
    "start it with `nats-server --jetstream`, or write `jetstream {}` into its configuration",
)


class NatsProbe(JetStreamSession):
    """A connection that asks, and changes nothing."""

    def __init__(self, address: Address, violated: Callable[[str], None]) -> None:
        options = StreamOptions()
        super().__init__(address, violated, stream=nats_wire.STREAM, config={}, options=options)
        self.milliseconds = 0.0
        """How long the server took to answer."""

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self._client.server_info.get("version", ""))

    @property
    def max_payload(self) -> int:
        """Bytes of the largest message that it takes."""
        return int(self._client.max_payload)

    @property
    def is_clustered(self) -> bool:
        """Whether it belongs to a NATS cluster."""
        return self._clustered

    async def measure(self) -> None:
        """Ask it how long it takes to answer."""
        watch = Stopwatch()
        await self.flush()
        self.milliseconds = watch.milliseconds

    async def stream(self, name: str) -> StreamInfo | None:
        """Return what there is to know of a stream; `None` where it is not there.

        Raises:
            NoJetStreamError: There is no JetStream.
            BusUnavailableError: It did not say in time, or refuses.
        """
        subject = f"$JS.API.STREAM.INFO.{name}"
        (answer,) = await self._asked([lambda reply: pub(subject, b"", reply)], CONFIRM_TIMEOUT)
        if answer is None:
            raise self._late(CONFIRM_TIMEOUT)
        try:
            self._check_answered(answer[0])
        except NoRespondersError:
            raise NoJetStreamError("JetStream is off") from None
        info = decode_info(answer[1])
        if info.error is None:
            return info
        if info.error.err_code == STREAM_NOT_FOUND:
            return None
        if info.error.err_code in NOT_ENABLED:
            raise NoJetStreamError(info.error.description)
        raise BusUnavailableError(info.error.description)

    async def nodes(self) -> list[Node]:
        """Return the nodes that have a key.

        Raises:
            BusUnavailableError: It did not say.
        """
        entries, _ = await read_entries(self.ask_stream, f"{NODES}.>", 0)
        return [node_of(entry.key, entry.value, entry.revision) for entry in entries]

    def _told(self, sid: int, headers: Headers, data: bytes) -> None:
        """Nothing: it subscribes to nothing."""


class NatsBusServer:
    """The nats-servers of `nats_url`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._login = nats_login(settings)
        # Those that were reached.
        self._urls: list[str] = []

    async def reach(self) -> Finding:
        """Log in to each of them."""
        urls = self._settings.nats_url
        findings = await asyncio.gather(*(self._reach(url) for url in urls))
        if self._urls:
            # One is enough to work with; with fewer than all, the next failure is an outage.
            findings = [
                warning(finding.text, finding.advice) if finding.stands_in_the_way else finding
                for finding in findings
            ]
        return worst(findings)

    async def registry(self) -> Finding:
        """Judge the stream with the state of the cluster."""
        return await self._streams([(nats_wire.STREAM, "memory", "nats_registry_bytes")])

    async def records(self) -> Finding:
        """Judge the streams with message ids and cached events."""
        return await self._streams(
            [
                (f"KV_{MESSAGES_BUCKET}", "memory", "message_id_bytes"),
                (f"KV_{CACHE_BUCKET}", "memory", "cache_bytes"),
            ]
        )

    async def webhooks(self) -> Finding:
        """Judge the streams with what waits for webhooks, and what was announced."""
        room = "webhook_queue_bytes"
        streams = await self._streams(
            [(QUEUES_STREAM, "file", room), (LEDGERS_STREAM, "file", room)]
        )
        async with self._session() as probe:
            return worst([streams, judge_payload_of_webhooks(probe.max_payload)])

    async def clock(self) -> float | None:
        """Take the time that the server says beside what it knows of a stream."""
        async with self._session() as probe:
            watch = Stopwatch()
            try:
                info = await probe.stream(nats_wire.STREAM)
            except NoJetStreamError:
                return None
            if info is None or info.ts is None:
                return None
            return watch.ahead(info.ts.timestamp())

    async def nodes(self) -> list[Node]:
        """Read their keys."""
        async with self._session() as probe:
            if await probe.stream(nats_wire.STREAM) is None:
                return []
            return await probe.nodes()

    async def _reach(self, url: str) -> Finding:
        try:
            async with self._session([url]) as probe:
                await probe.measure()
        except BusError as error:
            reason = reason_of(error)
            return wrong(f"no connection to {reason}", connection_advice(reason, "nats_url"))
        self._urls.append(url)
        text = f"nats-server {probe.version} at {probe.server} answers in "
        return judge_payload(
            f"{text}{probe.milliseconds:.1f} ms", probe.max_payload, self._settings.max_payload
        )

    async def _streams(self, streams: Sequence[tuple[str, str, str]]) -> Finding:
        async with self._session() as probe:
            default = _REPLICAS_OF_CLUSTER if probe.is_clustered else 1
            replicas = self._settings.nats_replicas or default
            try:
                return worst(
                    [
                        judge_stream(
                            Wanted(name, storage, replicas, room), await probe.stream(name)
                        )
                        for name, storage, room in streams
                    ]
                )
            except NoJetStreamError:
                return _NO_JETSTREAM

    @contextlib.asynccontextmanager
    async def _session(self, urls: Sequence[str] = ()) -> AsyncIterator[NatsProbe]:
        """Open a connection to one of the servers: of those that were reached, if any was yet.

        Raises:
            BusError: It cannot be reached, or does not do what it is asked.
        """
        known = urls or self._urls[:1] or self._settings.nats_url
        servers = NatsServers(known, "pogo-doctor", self._login)
        servers.parse()
        probe = await servers.open(NatsProbe)
        try:
            yield probe
        except BusUnavailableError as error:
            if servers.violations:
                raise BusUnavailableError(f"this user may not ask: {error}") from error
            raise
        finally:
            await probe.close()


def judge_payload(text: str, taken: int, allowed: int) -> Finding:
    """Judge whether the largest events of the settings fit into a message."""
    if taken >= allowed + _ENVELOPE:
        return ok(f"{text} and takes {size(taken)} a message")
    return warning(
        f"{text} and takes {size(taken)} a message, and max_payload lets events of {size(allowed)} "
        "in: the largest get status 4",
        "raise max_payload of nats-server, or lower that of Pogo",
    )


def judge_payload_of_webhooks(taken: int) -> Finding:
    """Judge whether what is written for webhooks fits into a message."""
    if taken >= MIN_PAYLOAD:
        return ok("what is written for webhooks fits into a message")
    return wrong(
        f"nats-server takes {size(taken)} a message, and webhooks need {size(MIN_PAYLOAD)}",
        f"set max_payload of nats-server to {MIN_PAYLOAD} or more",
    )


_: type[BusServer] = NatsBusServer
