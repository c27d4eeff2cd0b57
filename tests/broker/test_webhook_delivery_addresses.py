"""Endpoints with addresses that are not public are not connected to, where that is forbidden."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pogo.broker.webhooks.addresses import is_public, public_socket
from pogo.broker.webhooks.post import Poster, PostError, Target
from pogo.webhooks.memory import MemoryWebhookStore
from tests.broker.deliveries import delivering, make_items, make_settings, make_webhook, spread
from tests.broker.helpers import APP


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 (not listened on)
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "100::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_not_public(address: str) -> None:
    """Nothing of one's own network is public, however it is written or wrapped."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "172.32.0.1",
        "192.169.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2606:4700:4700::1111",
    ],
)
def test_public(address: str) -> None:
    """The rest is."""
    assert is_public(address)


def test_sockets_for_public_addresses() -> None:
    """A public address gets a socket of its kind."""
    info = (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("2606:4700::1", 443))
    with public_socket(info) as made:
        assert (socket.AF_INET6, socket.SOCK_STREAM) == (made.family, made.type)


class Listener:
    """A server that counts who connects, on the loopback of both kinds."""

    def __init__(self) -> None:
        self.connections = 0
        self._servers: list[asyncio.Server] = []

    async def listen(self) -> int:
        """Listen, on the same port wherever the loopback is; returns it."""
        port = 0
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as probe:
                try:
                    probe.bind((host, 0))
                except OSError:  # a machine without IPv6
                    continue
            server = await asyncio.start_server(self._take, host, port)
            port = server.sockets[0].getsockname()[1]
            self._servers.append(server)
        return port

    def close(self) -> None:
        """Listen no more."""
        for server in self._servers:
            server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        self.connections += 1
        writer.close()


@pytest_asyncio.fixture(name="listener")
async def _listener() -> AsyncIterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


async def _failure(url: str, *, private_addresses: bool) -> PostError:
    poster = Poster(timeout=5.0, private_addresses=private_addresses)
    try:
        with pytest.raises(PostError) as caught:
            await poster.post(Target.of(APP, make_webhook(url), make_settings()), [b"{}"])
    finally:
        await poster.close()
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",  # noqa: S104 (not listened on)
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "[fd00::1]",
        "[fe80::1]",
        "224.0.0.1",
        "[ff02::1]",
    ],
)
async def test_private_endpoints_are_refused(listener: Listener, host: str) -> None:
    """No connection is begun: not to such an address, and not to a name that leads to one."""
    port = await listener.listen()
    error = await _failure(f"http://{host}:{port}/", private_addresses=False)

    assert ("error", "its address is not public") == (error.failure, str(error))
    assert 0 == listener.connections


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "0177.0.0.1"])
async def test_odd_ways_to_write_the_loopback(listener: Listener, host: str) -> None:
    """Numbers that a system may take for an address lead nowhere either."""
    port = await listener.listen()
    await _failure(f"http://{host}:{port}/", private_addresses=False)

    assert 0 == listener.connections


async def test_private_endpoints_are_reached(listener: Listener) -> None:
    """Where nothing is forbidden, the same ones are connected to."""
    port = await listener.listen()
    for host in ("127.0.0.1", "localhost"):
        error = await _failure(f"http://{host}:{port}/", private_addresses=True)

        assert "it closed the connection" == str(error)
    assert 2 == listener.connections


async def test_a_name_that_changes(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked up first, and private the second time, is refused."""
    port = await listener.listen()
    answers = iter(["192.0.2.1", "127.0.0.1"])
    looked_up: list[str] = []

    def look_up(host: str, port: int, *_: object, **__: object) -> list[object]:
        looked_up.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for _ in range(2):
        error = await _failure(f"http://rebinding.example:{port}/", private_addresses=False)

        assert "its address is not public" == str(error)
    assert ["rebinding.example"] * 2 == looked_up
    assert 0 == listener.connections


async def test_the_environment_names_no_proxy(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect to whatever it is asked for, so those of the environment are unused."""
    port = await listener.listen()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    await _failure("http://nowhere.invalid/", private_addresses=True)

    assert 0 == listener.connections


async def test_setting_counts(listener: Listener) -> None:
    """Deliveries go by `webhook_private_addresses`, and drop the events in the end."""
    port = await listener.listen()
    webhook = make_webhook(f"http://localhost:{port}/")
    async with delivering(
        MemoryWebhookStore(), webhook, webhook_private_addresses=False, webhook_retry_for=0.3
    ) as running:
        await running.enqueue(make_items(spread(3)))
        await running.until_empty()

        assert {"error"} == set(running.results())
        assert 3 == running.count("events_dropped_total", reason="expired")
    assert 0 == listener.connections
