"""What only the NATS adapter has: log-in, permissions, several servers, cheap subscriptions."""

import asyncio
import contextlib
import gc
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pogo.bus import BusError, BusRefusedError, BusUnavailableError, channel_subject
from pogo.bus.nats import NatsBus
from pogo.bus.nats_client import Address
from tests.bus.helpers import (
    SUBJECT,
    Impostor,
    Inbox,
    Status,
    all_confirmed,
    elapsed,
    messages,
    numbers,
    opened,
    subscribe,
)
from tests.servers import HOST, NatsServer, make_certificate

PASSWORD = "p@ss/wörd"
QUOTED = "p%40ss%2Fw%C3%B6rd"


@pytest.fixture(name="guarded")
async def _guarded(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A server with one user, whose password needs quoting in a URL."""
    async with NatsServer(tmp_path, args=["--user", "pogo", "--pass", PASSWORD]) as server:
        yield server


async def test_user_and_password(guarded: NatsServer) -> None:
    """They are taken from the URL, unquoted."""
    async with opened(NatsBus([f"nats://pogo:{QUOTED}@{HOST}:{guarded.port}"])) as bus:
        assert await bus.publish(messages(b"1")) == [None]


async def test_token(tmp_path: Path) -> None:
    """A user without a password is a token."""
    async with (
        NatsServer(tmp_path, args=["--auth", "s3cret"]) as server,
        opened(NatsBus([f"nats://s3cret@{HOST}:{server.port}"])) as bus,
    ):
        assert await bus.publish(messages(b"1")) == [None]


async def test_wrong_password(guarded: NatsServer) -> None:
    """It is said clearly, without the password; the bus keeps trying until it is let in."""
    with capture_logs() as logs:
        async with opened(NatsBus([f"nats://pogo:wr0ng@{HOST}:{guarded.port}"])) as bus:
            status = Status(bus)
            (outcome,) = await bus.publish(messages(b"1"))
            guarded.kill()
            guarded.args = []
            await guarded.start()
            await status.until(2.0, connected=True)

    assert "Authorization Violation" in str(outcome)
    assert "Authorization Violation" in logs[1]["reason"]
    assert ["debug", "warning"] == [entry["log_level"] for entry in logs[:2]]
    assert "wr0ng" not in str(logs) + repr(bus) + str(outcome)


async def test_password_that_is_changed(guarded: NatsServer) -> None:
    """A user who is shut out while connected gets in again: nats-py alone would stay closed."""
    async with opened(NatsBus([f"nats://pogo:{QUOTED}@{HOST}:{guarded.port}"])) as bus:
        status = Status(bus)
        inbox = await subscribe(bus)
        own_args = guarded.args
        for args in (["--user", "pogo", "--pass", "new"], own_args):
            guarded.kill()
            guarded.args = args
            await guarded.start()
            connected = args is own_args
            await status.until(2.0, connected=connected)
        await bus.publish(messages(b"1"))

        assert await inbox.until(b"1") == [b"1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@127.0.0.1:4222",
        "nats://user:secret@127.0.0.1:port",
        "nats://user:secret@",
        "nats://user:secret@[::1",
        "ws://user:secret@127.0.0.1",
        "",
    ],
)
async def test_url_that_can_never_work(url: str) -> None:
    """`start` refuses it, without repeating the password."""
    with pytest.raises(BusError, match="not a NATS URL") as caught:
        await NatsBus([url]).start()

    assert "secret" not in str(caught.value)


async def test_no_url() -> None:
    """At least one server has to be named."""
    with pytest.raises(BusError, match="no NATS URL"):
        await NatsBus([]).start()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("localhost", Address("nats", "localhost", 4222, None, None)),
        ("localhost:4333", Address("nats", "localhost", 4333, None, None)),
        ("tls://[::1]", Address("tls", "::1", 4222, None, None)),
        ("nats://token@host", Address("nats", "host", 4222, "token", None)),
        ("nats://me:%2F@host:1", Address("nats", "host", 1, "me", "/")),
    ],
)
def test_url(url: str, address: Address) -> None:
    """Scheme and port may be left out."""
    assert address == Address.parse(url)


def test_address_hides_its_credentials() -> None:
    """They are in none of its texts, and not in the URL that nats-py gets."""
    address = Address.parse("nats://token-or-user:secret@[::1]:4222")

    assert str(address) == "[::1]:4222"
    assert "secret" not in repr(address)
    assert "token-or-user" not in repr(address)
    assert address.options()["servers"] == ["nats://[::1]:4222"]


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tls://` encrypts, and checks the certificate against the system's authorities."""
    made = make_certificate(tmp_path)
    args = ["--tls", "--tlscert", str(made.certificate), "--tlskey", str(made.key)]
    async with (
        NatsServer(tmp_path / "nats", args=args) as server,
        opened(NatsBus([f"tls://{HOST}:{server.port}"])) as bus,
    ):
        status = Status(bus)
        (refused,) = await bus.publish(messages(b"1"))
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        await status.until(2.0, connected=True)

        assert "CERTIFICATE_VERIFY_FAILED" in str(refused)
        assert await bus.publish(messages(b"2")) == [None]


async def test_password_is_not_sent_in_the_clear(guarded: NatsServer) -> None:
    """With `tls://`, a server that does not offer TLS gets no password."""
    async with opened(NatsBus([f"tls://pogo:{QUOTED}@{HOST}:{guarded.port}"])) as bus:
        (outcome,) = await bus.publish(messages(b"1"))

        assert "does not offer TLS" in str(outcome)


async def test_several_servers(tmp_path: Path) -> None:
    """When one goes, the next is used; subscriptions move with it."""
    one, two = NatsServer(tmp_path / "one"), NatsServer(tmp_path / "two")
    urls = [f"nats://{HOST}:{server.reserve_port()}" for server in (one, two)]
    try:
        await two.start()
        async with opened(NatsBus(urls)) as bus:
            status = Status(bus)
            await status.until(2.0, connected=True)
            inbox = await subscribe(bus)
            await bus.publish(messages(b"1"))
            await inbox.until(b"1")
            await one.start()
            two.kill()
            await status.until(1.0, connected=False)
            await status.until(2.0, connected=True)

            assert await bus.publish(messages(b"2")) == [None]
            assert await inbox.until(b"2") == [b"1", b"2"]
    finally:
        await one.stop()
        await two.stop()


@contextlib.asynccontextmanager
async def denied(directory: Path, subject: str) -> AsyncIterator[tuple[NatsServer, NatsBus]]:
    """Run a server, and a bus that may neither publish on a subject nor subscribe to it."""
    config = directory / "nats.conf"
    rules = {"publish": {"deny": [subject]}, "subscribe": {"deny": [subject]}}
    user = {"user": "pogo", "password": "pogo", "permissions": rules}
    config.write_text(json.dumps({"authorization": {"users": [user]}}))
    async with (
        NatsServer(directory / "nats", args=["-c", str(config)]) as server,
        opened(NatsBus([f"nats://pogo:pogo@{HOST}:{server.port}"])) as bus,
    ):
        yield server, bus


async def test_permissions(tmp_path: Path) -> None:
    """What the server does not permit fails alone; each subject is logged once, and all counted."""
    closed = channel_subject("app", "Closed")
    with capture_logs() as logs:
        async with denied(tmp_path, closed) as (_, bus):
            inbox = await subscribe(bus, SUBJECT, closed)
            batch = [*messages(b"1"), *messages(b"2", subject=closed), *messages(b"3")]
            first = await bus.publish(batch)
            second = await bus.publish(batch)
            third = await bus.publish(messages(b"end"))
            await inbox.until(b"end")

    expected = [type(None), BusRefusedError, type(None)]
    assert expected == [type(outcome) for outcome in first]
    assert expected == [type(outcome) for outcome in second]
    assert third == [None]
    assert inbox.payloads == [b"1", b"3", b"1", b"3", b"end"]
    assert bus.permission_violations == 3
    warnings = [entry["detail"] for entry in logs if entry["log_level"] == "warning"]
    assert [
        f'permissions violation for {what} to "{closed.lower()}"'
        for what in ("subscription", "publish")
    ] == warnings


async def test_refusals_that_nobody_waits_for(tmp_path: Path) -> None:
    """What a cancelled caller was refused is no other caller's refusal."""
    closed = channel_subject("app", "closed")
    async with denied(tmp_path, closed) as (server, bus):
        server.freeze()
        publishing = [
            asyncio.create_task(bus.publish(messages(b"", subject=subject)))
            for subject in (closed, SUBJECT, closed)
        ]
        await asyncio.sleep(0)
        publishing[0].cancel()
        server.thaw()
        answers = await asyncio.gather(*publishing, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert [None] == answers[1]
    assert isinstance(answers[2], list)
    assert [BusRefusedError] == [type(outcome) for outcome in answers[2]]


async def test_server_error_that_ends_the_connection(nats_server: NatsServer) -> None:
    """A command that the server refuses costs a connection, not the bus."""
    async with opened(NatsBus([nats_server.url])) as bus:
        status = Status(bus)
        inbox = await subscribe(bus)
        (outcome,) = await bus.publish(messages(b"", subject="no subject at all"))
        await status.until(1.0, connected=False)
        await status.until(2.0, connected=True)
        await bus.publish(messages(b"1"))

        assert isinstance(outcome, BusUnavailableError)
        assert await inbox.until(b"1") == [b"1"]


async def test_ping_of_the_server(tmp_path: Path) -> None:
    """It is answered: a server that asks often does not cut the connection."""
    config = tmp_path / "nats.conf"
    config.write_text('ping_interval: "100ms"')
    async with (
        NatsServer(tmp_path / "nats", args=["-c", str(config), "-V"]) as server,
        opened(NatsBus([server.url])),
    ):
        await server.until_logged("<<- [PONG]")


async def test_silent_impostor() -> None:
    """Something that accepts connections and never answers does not hold the bus up for long."""
    async with Impostor([]) as impostor:
        bus = NatsBus([f"nats://{HOST}:{impostor.port}"])

        assert await elapsed(bus.start()) < 2.5
        (outcome,) = await bus.publish(messages(b"1"))
        assert "timed out" in str(outcome)
        await bus.close()


@pytest.mark.parametrize(
    ("last_words", "reason"),
    [
        (b"PONG\r\nrubbish\r\n", "protocol error"),
        (b"PONG\r\n-ERR \r\n", "not read any more"),
        (b"-ERR 'maximum connections exceeded'\r\n", "maximum connections exceeded"),
        (b"+OK\r\n", "did not answer the first PING"),
    ],
)
async def test_talkative_impostor(last_words: bytes, reason: str) -> None:
    """Whatever a server says, or however it falls silent, the bus notices and tries again."""
    with capture_logs() as logs:
        async with (
            Impostor([b'INFO {"max_payload": 1048576}\r\n', last_words]) as impostor,
            opened(NatsBus([f"nats://{HOST}:{impostor.port}"])),
        ):
            await impostor.until_visited(2)

    assert any(reason in entry.get("reason", "") for entry in logs)


async def test_memory_of_a_subscription(nats_server: NatsServer) -> None:
    """Ten thousand subscriptions take at most 0.6 KB each, their subjects included."""
    async with opened(NatsBus([nats_server.url])) as bus:
        inbox = Inbox()
        gc.collect()
        tracemalloc.start()
        for number in range(10_000):
            bus.subscribe(channel_subject("app", f"private-App.Models.User.{number}"), inbox)
        await bus.flush()
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert used / 10_000 <= 600
        last = channel_subject("app", "private-App.Models.User.9999")
        assert all_confirmed(await bus.publish(messages(*numbers(3), subject=last)))
        assert await inbox.until(b"2") == numbers(3)
