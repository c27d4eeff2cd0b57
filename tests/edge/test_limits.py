import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from tests.edge.helpers import Client, eventually, running_edge
from tests.edge.raw import REQUEST, RawClient


def _descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def test_message_too_large() -> None:
    """A message over the limit is closed with 1009, whole or in fragments."""
    async with running_edge(max_message_size=1000) as edge:
        async with Client(edge.url()) as client:
            await client.socket.send("x" * 1001)
            assert 1009 == (await client.closed())[0]
        async with Client(edge.url()) as client:
            await client.socket.send(["x" * 600, "x" * 600])
            assert 1009 == (await client.closed())[0]
        assert 2.0 == edge.metric("connections_closed_total", code="1009")


async def test_a_huge_message_is_told_why() -> None:
    """The close frame arrives although the client is still sending."""
    huge = Frame(Opcode.TEXT, b"x" * 5_000_000).serialize(mask=True)
    async with running_edge() as edge, RawClient(edge.server.port) as client:
        await client.write(huge)
        assert 1009 == await client.close_code()


async def test_binary_message() -> None:
    """The protocol is text: binary is closed with WebSocket's own 1003."""
    async with running_edge() as edge, Client(edge.url()) as client:
        await client.socket.send(b"\x00")
        code, messages = await client.closed()

        assert 1003 == code
        assert ["pusher:error"] == [message["event"] for message in messages]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
        (Frame(Opcode.CONT, b"x").serialize(mask=True), 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\xf1\x80\0\0\0\0", 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126, 1002),
    ],
    ids=["no UTF-8", "not masked", "nothing to continue", "opcode", "reserved bits", "long ping"],
)
async def test_violations_of_websocket(frame: bytes, code: int) -> None:
    """A frame that RFC 6455 forbids is answered with its close code."""
    async with running_edge() as edge, RawClient(edge.server.port) as client:
        await client.write(frame)
        assert code == await client.close_code()


async def test_invalid_messages_go_on() -> None:
    """A message that the protocol does not know is reported, and the connection goes on."""
    async with running_edge() as edge, Client(edge.url()) as client:
        for text in ("", "x", "[]", '{"event":"pusher:unknown"}', '{"event":1}'):
            await client.socket.send(text)
            assert (await client.expect("pusher:error"))["data"]["code"] is None
        await client.send("pusher:unsubscribe", {"channel": "never"})
        assert "no subscription" in (await client.expect("pusher:error"))["data"]["message"]
        await client.silent()


async def test_fragments_are_joined() -> None:
    """A message may come in fragments, with a ping between them."""
    parts = [
        Frame(Opcode.TEXT, b'{"event":"pus', fin=False),
        Frame(Opcode.PING, b"between"),
        Frame(Opcode.CONT, b"her:pi", fin=False),
        Frame(Opcode.CONT, b'ng"}'),
    ]
    async with running_edge() as edge, RawClient(edge.server.port) as client:
        for part in parts:
            for byte in part.serialize(mask=True):
                await client.write(bytes((byte,)))
        received = await client.read_until(b"pusher:pong")

        assert b"\x8a\x07between" in received


async def test_message_rate() -> None:
    """A flood is closed with 4100, after which pusher-js waits."""
    async with running_edge(message_rate=1, message_burst=5) as edge, Client(edge.url()) as client:
        for _ in range(6):
            await client.send("pusher:ping")
        code, messages = await client.closed()

        assert 4100 == code
        assert 5 == sum(message["event"] == "pusher:pong" for message in messages)


async def test_silent_client_is_pinged_and_closed() -> None:
    """After `ping_period` a ping, after `pong_wait` without an answer 4201."""
    async with (
        running_edge(ping_period=1, pong_wait=2) as edge,
        RawClient(edge.server.port) as client,
    ):
        await client.read_until(b"\x89\x00")
        assert 4201 == await client.close_code()
        assert 1.0 == edge.metric("connections_closed_total", code="4201")


async def test_a_pong_keeps_a_client() -> None:
    """The answer to a ping, which a browser gives by itself, is a sign of life."""
    async with running_edge(ping_period=1, pong_wait=2) as edge, Client(edge.url()) as client:
        await asyncio.sleep(4.5)
        await client.silent()


async def test_a_client_that_does_not_answer_a_close() -> None:
    """It is dropped after `write_wait`."""
    async with (
        running_edge(write_wait=0.5) as edge,
        RawClient(edge.server.port) as client,
    ):
        await client.write(Frame(Opcode.BINARY, b"x").serialize(mask=True))
        await eventually(lambda: not edge.metric("connections_active"))


async def test_descriptors_are_given_back() -> None:
    """A thousand connections later the process has no more descriptors than before."""
    async with running_edge() as edge:
        before = _descriptors()
        for _ in range(1000):
            async with RawClient(edge.server.port):
                pass
        await eventually(lambda: not edge.metric("connections_active"))

        # Fewer where something of an earlier test has only now gone.
        assert before >= _descriptors()


async def test_json_of_errors() -> None:
    """What a client sent comes back in an error only as text in JSON."""
    async with running_edge() as edge, Client(edge.url()) as client:
        await client.send('pusher:"}<script>')
        message = await client.expect("pusher:error")

        assert "<script>" in message["data"]["message"]
        assert json.dumps(message)


async def test_fragments_count() -> None:
    """Empty fragments without end are a flood, and hold no memory."""
    first = Frame(Opcode.TEXT, b"x", fin=False).serialize(mask=True)
    more = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    async with running_edge() as edge, RawClient(edge.server.port) as client:
        await client.write(first + more * 200)
        assert 4100 == await client.close_code()


async def test_pings_count() -> None:
    """Control frames without end are a flood too."""
    ping = Frame(Opcode.PING, b"").serialize(mask=True)
    async with running_edge() as edge, RawClient(edge.server.port) as client:
        await client.write(ping * 200)
        assert 4100 == await client.close_code()


async def test_refused_clients_take_no_place() -> None:
    """Those that are closed for a wrong key and do not go leave room for others."""
    async with running_edge(max_connections=2) as edge, contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            refused = RawClient(edge.server.port, handshake=False)
            await stack.enter_async_context(refused)
            await refused.write(REQUEST.format("unknown").encode())
            await refused.read_until(b"4001")
        assert 0.0 == edge.metric("connections_active")
        async with Client(edge.url()) as client:
            await client.silent()


async def test_handshakes_are_bounded() -> None:
    """Sockets that never ask for anything are limited, as connections are."""
    async with running_edge(max_connections=2) as edge, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(RawClient(edge.server.port, handshake=False))
        third = RawClient(edge.server.port, handshake=False)
        await stack.enter_async_context(third)

        assert (await third.read()).startswith(b"HTTP/1.1 503 ")
