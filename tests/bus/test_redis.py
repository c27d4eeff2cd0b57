"""What only the Redis adapter has: log-in, TLS, permissions and sentinels."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pogo.bus import BusError, BusRefusedError, BusUnavailableError, channel_subject
from pogo.bus.redis import RedisBus, RedisOptions
from pogo.bus.redis_link import Link
from tests.bus.helpers import SUBJECT, Impostor, Status, messages, opened, subscribe
from tests.servers import HOST, RedisReplica, RedisSentinel, RedisServer, make_certificate

PASSWORD = "s3cret"


async def test_user_password_and_database(tmp_path: Path) -> None:
    """They log in where the default user may not."""
    async with RedisServer(tmp_path, user="pogo", password=PASSWORD) as server:
        options = RedisOptions(port=server.port, user="pogo", password=PASSWORD, db=3)
        async with opened(RedisBus(options)) as bus:
            inbox = await subscribe(bus)

            assert await bus.publish(messages(b"1")) == [None]
            assert await inbox.until(b"1") == [b"1"]


async def test_wrong_password(tmp_path: Path) -> None:
    """It is said clearly, without the password; the bus keeps trying until it is let in."""
    with capture_logs() as logs:
        async with (
            RedisServer(tmp_path, password=PASSWORD) as server,
            opened(RedisBus(RedisOptions(port=server.port, password="wr0ng"))) as bus,
        ):
            status = Status(bus)
            (outcome,) = await bus.publish(messages(b"1"))
            server.kill()
            server.password = "wr0ng"
            await server.start()
            await status.until(2.0, connected=True)

    assert "invalid username-password pair" in str(outcome)
    assert "invalid username-password pair" in logs[1]["reason"]
    assert ["debug", "warning"] == [entry["log_level"] for entry in logs[:2]]
    assert "wr0ng" not in str(logs) + repr(bus) + str(outcome)


def test_options_hide_their_passwords() -> None:
    """They are not in the text of the options."""
    options = RedisOptions(password="secret1", sentinel_password="secret2")

    assert "secret" not in repr(options)


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is spoken, and the certificate checked against the system's authorities."""
    made = make_certificate(tmp_path)
    async with (
        RedisServer(tmp_path / "redis", certificate=made, password=PASSWORD) as server,
        opened(RedisBus(RedisOptions(port=server.port, tls=True, password=PASSWORD))) as bus,
    ):
        status = Status(bus)
        (refused,) = await bus.publish(messages(b"1"))
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        await status.until(2.0, connected=True)
        inbox = await subscribe(bus)

        assert "CERTIFICATE_VERIFY_FAILED" in str(refused)
        assert await bus.publish(messages(b"2")) == [None]
        assert await inbox.until(b"2") == [b"2"]


async def test_permissions(tmp_path: Path) -> None:
    """What the server does not permit fails alone, is logged once, and counted."""
    closed = channel_subject("app", "closed")
    rules = f"user default on nopass ~* +@all resetchannels &{SUBJECT}"
    with capture_logs() as logs:
        async with (
            RedisServer(tmp_path, config=[rules]) as server,
            opened(RedisBus(RedisOptions(port=server.port))) as bus,
        ):
            inbox = await subscribe(bus, closed, SUBJECT)
            batch = [*messages(b"1"), *messages(b"2", subject=closed), *messages(b"3")]
            outcomes = await bus.publish(batch)
            again = await bus.publish(batch)
            await bus.publish(messages(b"end"))
            await inbox.until(b"end")

    expected = [type(None), BusRefusedError, type(None)]
    assert expected == [type(outcome) for outcome in outcomes]
    assert expected == [type(outcome) for outcome in again]
    assert inbox.payloads == [b"1", b"3", b"1", b"3", b"end"]
    assert bus.refusals == 3
    warnings = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert warnings == ["redis refused a command"]


@pytest.mark.parametrize("sentinel", ["127.0.0.1", ":26379", "127.0.0.1:port"])
async def test_sentinel_address_that_can_never_work(sentinel: str) -> None:
    """`start` refuses it."""
    with pytest.raises(BusError, match="not a sentinel's address"):
        await RedisBus(RedisOptions(sentinels=(sentinel,))).start()


async def test_sentinel_failover(tmp_path: Path) -> None:
    """The bus follows the master that the sentinels name, past one that does not answer."""
    dead = RedisServer(tmp_path / "dead").reserve_port()
    async with (
        RedisServer(tmp_path / "master") as master,
        RedisReplica(tmp_path / "replica", master=master),
        RedisSentinel(tmp_path / "sentinel", master=master, master_name="main") as sentinel,
    ):
        await sentinel.until_info("sentinel", "slaves=1,")
        sentinels = (f"{HOST}:{dead}", f"{HOST}:{sentinel.port}")
        options = RedisOptions(sentinels=sentinels, sentinel_master="main")
        async with opened(RedisBus(options)) as bus:
            status = Status(bus)
            inbox = await subscribe(bus)
            before = await bus.publish(messages(b"1"))
            master.kill()
            await status.until(1.0, connected=False)
            await status.until(10.0, connected=True)
            after = await bus.publish(messages(b"2"))

            assert [before, after] == [[None], [None]]
            assert await inbox.until(b"2") == [b"1", b"2"]


async def test_replica_is_not_taken_for_the_master(tmp_path: Path) -> None:
    """A server that a sentinel calls the master, but was demoted meanwhile, is refused."""
    async with (
        RedisServer(tmp_path / "master") as master,
        RedisReplica(tmp_path / "replica", master=master) as replica,
    ):
        options = RedisOptions(sentinels=("sentinel:26379",))
        with pytest.raises(BusUnavailableError, match="demoted"):
            await Link.open(options, HOST, replica.port)


async def test_unknown_master(tmp_path: Path) -> None:
    """A name that no sentinel knows is said clearly."""
    async with (
        RedisServer(tmp_path / "master") as master,
        RedisSentinel(tmp_path / "sentinel", master=master, master_name="main") as sentinel,
    ):
        options = RedisOptions(sentinels=(f"{HOST}:{sentinel.port}",), sentinel_master="other")
        async with opened(RedisBus(options)) as bus:
            (outcome,) = await bus.publish(messages(b"1"))

        assert "No master found for 'other'" in str(outcome)


async def test_connections_are_named(redis_server: RedisServer) -> None:
    """CLIENT LIST shows whose they are."""
    async with opened(RedisBus(RedisOptions(port=redis_server.port, name="edge-1"))):
        reader, writer = await asyncio.open_connection(HOST, redis_server.port)
        writer.write(b"CLIENT LIST\r\n")
        size = int((await reader.readline()).removeprefix(b"$"))
        clients = await reader.readexactly(size)

        assert clients.count(b"name=edge-1 ") == 2
        writer.close()


async def test_room_for_one_connection_only(tmp_path: Path) -> None:
    """The bus needs two: it does not keep the first when it cannot have the second."""
    async with (
        RedisServer(tmp_path, config=["maxclients 1"]) as server,
        opened(RedisBus(RedisOptions(port=server.port))) as bus,
    ):
        (outcome,) = await bus.publish(messages(b"1"))

        assert "max number of clients" in str(outcome)


async def test_impostor() -> None:
    """A server that answers what nobody asked is given up, with a traceback in the log."""
    says = [b"", b"+OK\r\n", b"+PONG\r\n", b"+PONG\r\n+PONG\r\n", b""]
    with capture_logs() as logs:
        async with (
            Impostor(says) as impostor,
            opened(RedisBus(RedisOptions(port=impostor.port))),
        ):
            await impostor.until_visited(3)

    (failure,) = [entry for entry in logs if entry["event"] == "connection failed"][:1]
    assert isinstance(failure["exc_info"], IndexError)
