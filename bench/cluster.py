"""The processes of a measurement: a nats-server, and nodes that are asked to do things."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
import nats
from tests.servers import HOST, NatsServer, free_port

from bench.cpu import cpu_seconds, resident_bytes
from bench.messages import Reply, Request

_MAX_LINE = 64 * 1024 * 1024
_REPLY = msgspec.json.Decoder(Reply)
_STOP_TIMEOUT = 5.0


class BenchError(Exception):
    """A process of the measurement did not do what it was asked."""


class Node:
    """One child process. It ends when its standard input does, so also when this process dies."""

    def __init__(self, role: str, url: str, name: str, limit: int) -> None:
        self.name = name
        self._arguments = [role, url, name, str(limit)]
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "bench.node", *self._arguments],
            cwd=Path(__file__).parents[1],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MAX_LINE,
            # Ctrl-C is for the measuring process alone.
            start_new_session=True,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._running
        assert process.stdin is not None
        if process.returncode is None:
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.01 if kind else _STOP_TIMEOUT)
        await self.kill()

    async def kill(self) -> None:
        """End it with SIGKILL. Idempotent."""
        process = self._running
        if process.returncode is None:
            process.kill()
        await process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_seconds(self.pid)

    @property
    def resident(self) -> int:
        """Bytes of memory."""
        return resident_bytes(self.pid)

    async def ask(self, request: Request) -> Reply:
        """Have something done, and wait until it is.

        Raises:
            BenchError: It was not.
        """
        process = self._running
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(request) + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise BenchError(f"{self.name} has ended")
        reply = _REPLY.decode(line)
        if reply.failed:
            raise BenchError(f"{self.name}: {reply.failed}")
        return reply

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process


async def ask_all(nodes: Sequence[Node], requests: Sequence[Request]) -> list[Reply]:
    """Ask each node its own, at the same time."""
    pairs = zip(nodes, requests, strict=True)
    return await asyncio.gather(*(node.ask(request) for node, request in pairs))


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What the nats-server says of itself."""

    last_seq: int
    messages: int
    stream_bytes: int
    out_msgs: int
    """To all clients together."""
    out_bytes: int
    in_msgs: int
    in_bytes: int


class Server:
    """A nats-server of its own, and what it says of itself."""

    def __init__(self, directory: Path) -> None:
        self._monitoring = free_port()
        self._nats = NatsServer(directory, args=["-m", str(self._monitoring)])
        self._client: Any = None

    async def __aenter__(self) -> Self:
        await self._nats.start()
        self._client = await nats.connect(self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        await self._nats.stop()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self._nats.url

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_seconds(self._nats.pid)

    @property
    def resident(self) -> int:
        """Bytes of memory."""
        return resident_bytes(self._nats.pid)

    async def figures(self) -> ServerFigures:
        """Ask JetStream for the stream, and the server for its counters."""
        answer = await self._client.request("$JS.API.STREAM.INFO.KV_pogo", b"")
        state = json.loads(answer.data).get("state", {})
        varz = await self._varz()
        return ServerFigures(
            last_seq=state.get("last_seq", 0),
            messages=state.get("messages", 0),
            stream_bytes=state.get("bytes", 0),
            out_msgs=varz["out_msgs"],
            out_bytes=varz["out_bytes"],
            in_msgs=varz["in_msgs"],
            in_bytes=varz["in_bytes"],
        )

    async def _varz(self) -> dict[str, int]:
        url = f"http://{HOST}:{self._monitoring}/varz"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            varz: dict[str, int] = await response.json()
            return varz


@contextlib.asynccontextmanager
async def nodes_of(
    role: str, server: Server, count: int, limit: int = 0
) -> AsyncIterator[list[Node]]:
    """Run so many nodes of one role."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = [Node(role, server.url, f"{role}-{number}", limit) for number in range(count)]
        for node in nodes:
            await stack.enter_async_context(node)
        yield nodes
