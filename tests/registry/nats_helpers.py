"""What an operator does to the stream, and what a client of the registry sees of it."""

import asyncio
import json
from typing import Any

import nats
import pytest

from pogo.registry import Change, Registry, Write
from pogo.registry.topics import Topic
from tests.registry.helpers import TOPIC, Record
from tests.servers import NatsServer

STREAM = "KV_pogo"
STEP = 500


async def until_snapshot(record: Record, number: int, within: float = 5.0) -> None:
    """Wait for a watcher's snapshot, counted from one."""
    async with asyncio.timeout(within):
        while len(record.snapshots) < number:  # noqa: ASYNC110 (a Record announces other things)
            await asyncio.sleep(0.005)


async def ask(server: NatsServer, what: str, **body: object) -> dict[str, Any]:
    """Ask JetStream about the registry's stream, as an operator would."""
    return await ask_of(server, STREAM, what, **body)


async def ask_of(server: NatsServer, stream: str, what: str, **body: object) -> dict[str, Any]:
    """Ask JetStream about any stream."""
    client = await nats.connect(server.url)
    try:
        subject = f"$JS.API.STREAM.{what}.{stream}"
        answer = await client.request(subject, json.dumps(body).encode() if body else b"")
        found: dict[str, Any] = json.loads(answer.data)
        return found
    finally:
        await client.close()


async def publish(server: NatsServer, subject: str, payload: bytes) -> None:
    """Publish a message by hand."""
    client = await nats.connect(server.url)
    try:
        await client.publish(subject, payload)
        await client.flush()
    finally:
        await client.close()


async def messages(server: NatsServer) -> int:
    """Count what the stream holds."""
    return int((await ask(server, "INFO"))["state"]["messages"])


class PlainNatsServer(NatsServer):
    """A nats-server without JetStream."""

    def _command(self, port: int) -> list[str]:
        command = super()._command(port)
        at = command.index("-js")
        return command[:at] + command[at + 3 :]


def names(count: int, topic: str = TOPIC) -> list[str]:
    """Name many keys under a topic."""
    return [f"{topic}.node.{number}" for number in range(count)]


async def write_all(registry: Registry, keys: list[str], value: bytes | None) -> None:
    """Write many keys."""
    for start in range(0, len(keys), STEP):
        outcomes = await registry.write([Write(name, value) for name in keys[start : start + STEP]])
        assert [] == [outcome for outcome in outcomes if not isinstance(outcome, int)]


def drop_next_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one change get lost on its way."""
    passed_on = Topic.changed

    def lose(topic: Topic, change: Change) -> None:
        del topic, change
        monkeypatch.setattr(Topic, "changed", passed_on)

    monkeypatch.setattr(Topic, "changed", lose)
