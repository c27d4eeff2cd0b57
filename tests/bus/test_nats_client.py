"""The private hooks of nats-py that the NATS adapter relies on: another release may move them."""

import asyncio
import importlib.metadata
import inspect

import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser

from pogo.bus.nats_client import NatsClient, Transport


def test_version() -> None:
    """Read nats/aio/client.py again before moving this pin: everything below is private to it."""
    assert importlib.metadata.version("nats-py") == "2.16.0"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_select_next_server", ["self"]),
        ("_connect_command", ["self"]),
        ("_process_msg", ["self", "sid", "subject", "reply", "data", "headers"]),
        ("_process_ping", ["self"]),
        ("_process_pong", ["self"]),
        ("_process_err", ["self", "err_msg"]),
        ("_process_op_err", ["self", "e"]),
        ("_ping_interval", ["self"]),
        ("_flusher", ["self"]),
    ],
)
def test_overridden_hook(name: str, parameters: list[str]) -> None:
    """Each overrides a method of the same shape."""
    theirs, ours = getattr(Client, name), getattr(NatsClient, name)

    assert theirs is not ours
    assert parameters == list(inspect.signature(theirs).parameters)
    assert parameters == list(inspect.signature(ours).parameters)
    assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours)


def test_hooks_are_called() -> None:
    """The parser and the read loop report through the overridden methods, and nothing else."""
    parser = inspect.getsource(Parser.parse)
    reading, starting = (
        inspect.getsource(getattr(Client, name)) for name in ("_read_loop", "_process_connect_init")
    )
    opening = inspect.getsource(Client.connect) + starting

    for hook in ("_process_msg", "_process_ping", "_process_pong", "_process_err"):
        assert f"await self.nc.{hook}(" in parser
    assert reading.count("await self._process_op_err(") == 3
    for hook in ("_select_next_server()", "_connect_command()", "_ping_interval()", "_flusher()"):
        assert f"self.{hook}" in opening
    assert "self._reading_task = " in opening


def test_transport() -> None:
    """A transport has a stream writer when it is connected, and none before."""
    transport = Transport()

    assert "_io_writer" in vars(transport)
    assert transport.unsent() == 0
    assert "self._io_writer.write(payload)" in inspect.getsource(TcpTransport.write)
    transport.send(b"nowhere")
    transport.abort()


def test_readers_know_of_tls() -> None:
    """The attribute that says so is asyncio's own, and private."""
    assert "if self._over_ssl" in inspect.getsource(asyncio.StreamReaderProtocol.eof_received)
    assert "start_tls(" in inspect.getsource(TcpTransport.connect_tls)
