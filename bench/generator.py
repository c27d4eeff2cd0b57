"""Load on the nats-server alone: whoever writes or publishes, and whoever takes it."""

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from typing import cast
from urllib.parse import urlsplit

from bench.headless import APP, member_of
from bench.messages import Reply, Sink, Write
from pogo.bus import Message, channel_subject
from pogo.bus.nats import NatsBus
from pogo.pusher.frames import encode_event
from pogo.pusher.members import encode_member
from pogo.registry import RegistryError
from pogo.registry import Write as Entry
from pogo.registry.keys import presence_topic
from pogo.registry.nats import NatsRegistry
from pogo.rpc.v1.delivery_pb2 import Delivery

_WRITERS = 2
"""Batches that are under way at a time: the next one is written while one is confirmed."""

_CHANNELS = 20

_DATA = "x" * 150
"""What an event says: with its envelope, about 200 bytes."""


class _Load(ABC):
    """Has the server confirm one batch after the other."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    @abstractmethod
    async def _batch(self, size: int) -> None:
        """Send so many, and wait until the server has confirmed them."""

    async def write(self, request: Write) -> Reply:
        """Go on for some seconds."""
        began = time.perf_counter()
        latencies: list[float] = []

        async def writer(number: int) -> int:
            done = 0
            while (now := time.perf_counter()) < began + request.seconds:
                if request.rate:
                    ahead = done * _WRITERS + request.batch * number
                    await asyncio.sleep(began + ahead / request.rate - now)
                sent = time.perf_counter()
                await self._batch(request.batch)
                done += request.batch
                latencies.append(time.perf_counter() - sent)
            return done

        joins = sum(await asyncio.gather(*(writer(number) for number in range(_WRITERS))))
        seconds = time.perf_counter() - began
        return Reply(joins=joins, seconds=seconds, latencies=latencies)


class Generator(_Load):
    """Writes entries as an edge's writer does, in batches, and nothing else."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self._registry = NatsRegistry([url], name=name)
        self._name = name

    async def start(self) -> None:
        """Connect."""
        await self._registry.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._registry.close()

    async def stats(self, _request: object) -> Reply:
        """Remove what was written."""
        await self._registry.purge(self._name)
        return Reply()

    async def _batch(self, size: int) -> None:
        outcomes = await self._registry.write([self._entry() for _ in range(size)])
        for outcome in outcomes:
            if isinstance(outcome, RegistryError):
                raise outcome

    def _entry(self) -> Entry:
        number = next(self._numbers)
        topic = presence_topic(APP, f"presence-{number % _CHANNELS}")
        user_id = f"{self._name}-{number}"
        return Entry(f"{topic}.{self._name}.{number}", encode_member(member_of(user_id)))


class Publisher(_Load):
    """Publishes events as a broker's worker does, in batches, and nothing else."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self._bus = NatsBus([url], name=name)

    async def start(self) -> None:
        """Connect."""
        await self._bus.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._bus.close()

    async def stats(self, _request: object) -> Reply:
        """Tell nothing: nothing stays."""
        return Reply()

    async def _batch(self, size: int) -> None:
        outcomes = await self._bus.publish([self._message() for _ in range(size)])
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def _message(self) -> Message:
        channel = f"channel-{next(self._numbers) % _CHANNELS}"
        delivery = Delivery(payload=encode_event("event", channel, _DATA))
        return Message(channel_subject(APP, channel), delivery.SerializeToString())


class _Sink(asyncio.Protocol):
    """A connection that takes what comes on a subject and throws it away."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self.received = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            b'CONNECT {"verbose":false,"headers":true,"name":"sink"}\r\n'
            b"SUB %b 1\r\nPING\r\n" % self._subject.encode()
        )

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if data.endswith(b"PING\r\n") and self.transport is not None:
            self.transport.write(b"PONG\r\n")


class Sinks:
    """Stands for many edges' connections, at nearly no cost of its own."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._host, self._port = at.hostname or "", at.port or 0
        self._sinks: list[_Sink] = []

    async def start(self) -> None:
        """Do nothing yet."""

    async def stop(self) -> None:
        """Disconnect."""
        for sink in self._sinks:
            if sink.transport is not None:
                sink.transport.abort()
        self._sinks.clear()

    async def sink(self, request: Sink) -> Reply:
        """Have exactly so many connections."""
        await self.stop()
        loop = asyncio.get_running_loop()
        self._sinks = [_Sink(request.subject) for _ in range(request.connections)]
        for sink in self._sinks:
            await loop.create_connection(lambda sink=sink: sink, self._host, self._port)  # type: ignore[misc]
        return Reply()

    async def stats(self, _request: object) -> Reply:
        """Tell how much was received."""
        return Reply(received=sum(sink.received for sink in self._sinks))
