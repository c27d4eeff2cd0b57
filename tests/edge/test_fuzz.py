"""Ten thousand bad frames and handshakes: the edge answers each, goes on, and is not alarmed."""

import json
import logging
import os
import random
import secrets
from typing import Any

import pytest
import structlog
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from pogo.pusher.commands import parse_command
from pogo.pusher.errors import CloseError, PusherError
from tests.edge.helpers import KEY, Edge, running_edge
from tests.edge.raw import REQUEST, RawClient

MESSAGES = 5000
STREAMS = 2500
HANDSHAKES = 2500
MAX_MESSAGE_SIZE = 4096
PING = Frame(Opcode.TEXT, b'{"event":"pusher:ping"}').serialize(mask=True)

EVENTS = ["pusher:subscribe", "pusher:unsubscribe", "pusher:signin", "client-x", "x", "", None, 7]
VALUES: list[Any] = [
    None,
    True,
    -1,
    1e300,
    "",
    "x" * 300,
    "\x00\u2028\ud83d\ude00",
    [],
    {},
    {"channel": "private-a", "auth": "a:b"},
    {"channel": "presence-a", "auth": f"{KEY}:" + "0" * 64, "channel_data": "{"},
    {"channel": "#server-to-user-1"},
    {"channel": "x y"},
    {"auth": "", "user_data": "[]"},
]


def _seed() -> int:
    """Take the seed from the environment to see a failure again."""
    seed = int(os.environ.get("POGO_FUZZ_SEED") or secrets.randbits(32))
    print(f"POGO_FUZZ_SEED={seed}")  # noqa: T201 - pytest shows it where the test fails
    return seed


def _message(dice: random.Random) -> bytes:
    """Make a message that is nearly, or not at all, one of the protocol."""
    if dice.random() < 0.3:
        return dice.randbytes(dice.randrange(200))
    fields = {"event": dice.choice(EVENTS), "data": dice.choice(VALUES)}
    if dice.random() < 0.3:
        fields["channel"] = dice.choice(["private-a", "news", 5, None])
    raw = bytearray(json.dumps(fields).encode())
    for _ in range(dice.randrange(3)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw)


def _stream(dice: random.Random) -> bytes:
    """Make bytes that are nearly, or not at all, WebSocket frames."""
    if dice.random() < 0.3:
        return dice.randbytes(dice.randrange(1, 300))
    opcode = dice.choice(list(Opcode))
    payload = dice.randbytes(dice.choice([0, 1, 2, 100, 125, 126, 5000]))
    try:
        frame = Frame(opcode, payload, fin=dice.random() < 0.8).serialize(mask=dice.random() < 0.8)
    except Exception:  # noqa: BLE001 - a control frame that cannot be written will do as bytes
        frame = payload or b"\x88"
    raw = bytearray(frame)
    raw[dice.randrange(min(len(raw), 8))] = dice.randrange(256)
    return bytes(raw)


def _handshake(dice: random.Random) -> bytes:
    """Make a request that is nearly, or not at all, a handshake."""
    if dice.random() < 0.2:
        return dice.randbytes(dice.randrange(1, 300)) + b"\r\n\r\n"
    raw = bytearray(REQUEST.format(KEY).encode())
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(raw) - 4)
        match dice.randrange(3):
            case 0:
                raw[at] = dice.randrange(256)
            case 1:
                del raw[at : at + dice.randrange(20)]
            case 2:
                raw[at:at] = dice.randbytes(dice.randrange(20))
    return bytes(raw) + b"\r\n\r\n"


async def _say_messages(edge: Edge, dice: random.Random) -> None:
    """Whatever the pure protocol refuses, the client is told; the others change nothing."""
    for _ in range(MESSAGES // 50):
        async with RawClient(edge.server.port) as client:
            for _ in range(50):
                message = _message(dice)
                refusal: PusherError | None = None
                try:
                    parse_command(message)
                except PusherError as error:
                    refusal = error
                await client.write(Frame(Opcode.TEXT, message).serialize(mask=True))
                if isinstance(refusal, CloseError):
                    assert refusal.code == await client.close_code()
                    break
                await client.write(PING)
                answer = await client.read_until(b"pusher:pong")
                assert refusal is None or b"pusher:error" in answer


async def _say_streams(edge: Edge, dice: random.Random) -> None:
    """Whatever the frame layer refuses, the client is told with its close code."""
    for _ in range(STREAMS):
        stream = _stream(dice)
        oracle = ServerProtocol(state=OPEN, max_size=MAX_MESSAGE_SIZE)
        oracle.receive_data(stream)
        async with RawClient(edge.server.port) as client:
            await client.write(stream)
            data = [f for f in oracle.events_received() if isinstance(f, Frame)]
            said_anything = any(f.opcode in (Opcode.TEXT, Opcode.BINARY) for f in data)
            if oracle.parser_exc is not None and not said_anything:
                assert oracle.close_sent is not None
                assert oracle.close_sent.code == await client.close_code()


async def _say_handshakes(edge: Edge, dice: random.Random) -> None:
    """Whatever a request is, it has an HTTP answer."""
    for _ in range(HANDSHAKES):
        async with RawClient(edge.server.port, handshake=False) as client:
            request = _handshake(dice)
            await client.write(request)
            answer = await client.read()
            assert answer.startswith(b"HTTP/"), answer


async def test_fuzz(caplog: pytest.LogCaptureFixture) -> None:
    """After all of it the edge serves, holds nothing, and has logged no error."""
    dice = random.Random(_seed())  # noqa: S311 - it is to be repeatable
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.WARNING):
        async with running_edge(
            message_rate=-1, max_message_size=MAX_MESSAGE_SIZE, handshake_timeout=1
        ) as edge:
            await _say_messages(edge, dice)
            await _say_streams(edge, dice)
            await _say_handshakes(edge, dice)
            async with RawClient(edge.server.port) as client:
                await client.subscribe("news")
                await edge.publish("news", "created")
                await client.read_until(b"created")

    assert [] == [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]
