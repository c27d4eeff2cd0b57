"""Log-in and TLS on the way to NATS, as settings say, for all that connects there."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pogo.bus import Bus, BusError
from pogo.cli.buses import open_bus, open_cache, open_records, open_registry, open_webhook_store
from pogo.registry import RegistryError
from pogo.settings import Settings, load_settings
from tests.bus.helpers import Status, messages, opened
from tests.edge.helpers import eventually
from tests.servers import HOST, Certificate, NatsServer
from tests.tls.authority import Authority
from tests.tls.nats_accounts import Accounts, user_nkey

PASSWORD = "p@ss/wörd"


def _settings(server: NatsServer, scheme: str = "nats", **more: object) -> Settings:
    url = f"{scheme}://{HOST}:{server.reserve_port()}"
    return load_settings(None, {}, {"bus": "nats", "nats_url": [url], **more})


def _tls_args(issued: Certificate, client_ca: Authority | None = None) -> list[str]:
    args = ["--tls", "--tlscert", str(issued.certificate), "--tlskey", str(issued.key)]
    return args if client_ca is None else [*args, "--tlsverify", "--tlscacert", str(client_ca.path)]


async def _outcome(settings: Settings) -> BusError | None:
    """Say what becomes of a message with these settings."""
    async with opened(open_bus(settings)) as bus:
        (outcome,) = await bus.publish(messages(b"1"))
        return outcome


async def _why_not(settings: Settings) -> str:
    """Say why a bus with these settings does not even start."""
    with pytest.raises(BusError) as caught:
        await open_bus(settings).start()
    return str(caught.value)


async def test_an_authority_of_ones_own(
    tmp_path: Path, issued: Certificate, authority: Authority, stranger: Authority
) -> None:
    """The authority that is named is believed, and then no other."""
    async with NatsServer(tmp_path / "nats", args=_tls_args(issued)) as server:
        right = _settings(server, "tls", nats_tls_ca=str(authority.path))
        wrong = _settings(server, "tls", nats_tls_ca=str(stranger.path))

        assert await _outcome(right) is None
        assert "CERTIFICATE_VERIFY_FAILED" in str(await _outcome(wrong))
        assert "CERTIFICATE_VERIFY_FAILED" in str(await _outcome(_settings(server, "tls")))


async def test_a_certificate_to_show(
    tmp_path: Path, issued: Certificate, authority: Authority
) -> None:
    """A server that asks for one gets it, from all that connects there."""
    known = authority.issue("node")
    own = {"nats_tls_cert": str(known.certificate), "nats_tls_key": str(known.key)}
    async with NatsServer(tmp_path / "nats", args=_tls_args(issued, authority)) as server:
        without = _settings(server, "tls", nats_tls_ca=str(authority.path))
        settings = _settings(server, "tls", nats_tls_ca=str(authority.path), **own)

        assert await _outcome(without) is not None
        assert await _outcome(settings) is None

        parts = [
            each(settings) for each in (open_registry, open_records, open_cache, open_webhook_store)
        ]
        for part in parts:
            await part.start()
        connected = [part.connected for part in parts]
        for part in parts:
            await part.close()

        assert [True] * 4 == connected


async def test_an_authority_that_is_replaced(
    tmp_path: Path, issued: Certificate, authority: Authority, stranger: Authority
) -> None:
    """Files are read for each connection: once they are right, so is the next one."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(stranger.pem)
    async with (
        NatsServer(tmp_path / "nats", args=_tls_args(issued)) as server,
        opened(open_bus(_settings(server, "tls", nats_tls_ca=str(ca)))) as bus,
    ):
        status = Status(bus)
        (refused,) = await bus.publish(messages(b"1"))
        ca.write_bytes(authority.pem)
        await status.until(5.0, connected=True)

        assert "CERTIFICATE_VERIFY_FAILED" in str(refused)
        assert await bus.publish(messages(b"2")) == [None]


async def test_a_server_that_ends(
    tmp_path: Path,
    issued: Certificate,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is missed and found again as without TLS, and event loops have nothing to say."""
    async with NatsServer(tmp_path / "nats", args=_tls_args(issued)) as server:
        settings = _settings(server, "tls", nats_tls_ca=str(authority.path))
        async with opened(open_bus(settings)) as bus:
            status = Status(bus)
            await server.stop()
            await status.until(5.0, connected=False)
            await server.start()
            await status.until(5.0, connected=True)

            assert await bus.publish(messages(b"1")) == [None]

    assert [] == [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize(
    ("args", "login"),
    [
        (["--user", "pogo", "--pass", PASSWORD], {"nats_user": "pogo", "nats_password": PASSWORD}),
        (["--auth", PASSWORD], {"nats_token": PASSWORD}),
    ],
)
async def test_who_logs_in(tmp_path: Path, args: Sequence[str], login: dict[str, str]) -> None:
    """By user and password, or by a token; what they are is in no text."""
    async with NatsServer(tmp_path / "nats", args=args) as server:
        settings = _settings(server, **login)

        assert await _outcome(settings) is None
        assert "authorization" in str(await _outcome(_settings(server))).lower()
        assert PASSWORD not in repr(settings)


async def test_a_url_comes_first(tmp_path: Path) -> None:
    """Who a URL names logs in there, whoever the settings name."""
    args = ["--user", "pogo", "--pass", "secret"]
    async with NatsServer(tmp_path / "nats", args=args) as server:
        url = f"nats://pogo:secret@{HOST}:{server.port}"
        others = {"nats_user": "other", "nats_password": "other"}

        assert await _outcome(_settings(server, nats_url=url, **others)) is None


async def test_a_credentials_file(tmp_path: Path) -> None:
    """The user of a `.creds` file logs in to a server with an operator, and nobody else does."""
    accounts = Accounts(tmp_path / "accounts")
    creds = accounts.credentials()
    async with NatsServer(tmp_path / "nats", args=["-c", str(accounts.config)]) as server:
        assert await _outcome(_settings(server, nats_creds=str(creds))) is None
        assert "authorization" in str(await _outcome(_settings(server))).lower()

        foreign = Accounts(tmp_path / "others").credentials()

        assert await _outcome(_settings(server, nats_creds=str(foreign))) is not None


async def test_an_nkey(tmp_path: Path) -> None:
    """The user of a seed logs in, and that of another seed does not."""
    seed, other = tmp_path / "user.nk", tmp_path / "other.nk"
    config = tmp_path / "nats.conf"
    config.write_text(f"authorization {{ users = [ {{ nkey: {user_nkey(seed)} }} ] }}\n")
    user_nkey(other)
    async with NatsServer(tmp_path / "nats", args=["-c", str(config)]) as server:
        assert await _outcome(_settings(server, nats_nkey=str(seed))) is None
        assert await _outcome(_settings(server, nats_nkey=str(other))) is not None


async def test_credentials_that_break_while_it_runs(tmp_path: Path) -> None:
    """A file that is emptied is an attempt that fails; once it is right, so is the next."""
    seed = tmp_path / "user.nk"
    config = tmp_path / "nats.conf"
    config.write_text(f"authorization {{ users = [ {{ nkey: {user_nkey(seed)} }} ] }}\n")
    content = seed.read_bytes()
    server = NatsServer(tmp_path / "nats", args=["-c", str(config)])
    with capture_logs() as logs:
        async with opened(open_bus(_settings(server, nats_nkey=str(seed)))) as bus:
            status = Status(bus)
            seed.write_bytes(b"")
            async with server:
                await eventually(lambda: any(str(seed) in str(line.get("reason")) for line in logs))
                seed.write_bytes(content)
                await status.until(5.0, connected=True)

                assert await bus.publish(messages(b"1")) == [None]

    assert not [line for line in logs if "exc_info" in line]


@pytest.mark.parametrize("content", ["", "SUNOSEED", "-----BEGIN NATS USER JWT-----\nx.y.z\n"])
async def test_files_that_cannot_be_used(tmp_path: Path, content: str) -> None:
    """The bus does not start, and says which file; what is in it is nobody's business."""
    path = tmp_path / "file"
    path.write_text(content)
    server = NatsServer(tmp_path / "nats")
    for name in ("nats_creds", "nats_nkey"):
        why = await _why_not(_settings(server, **{name: str(path)}))

        assert why.startswith(f"{path}: ")
        assert "x.y.z" not in why
        assert "NOSEED" not in why
        assert "/nowhere: No such file" in await _why_not(_settings(server, **{name: "/nowhere"}))


async def test_authorities_that_cannot_be_used(tmp_path: Path) -> None:
    """Without the authorities that it is to believe it does not start, nor does the registry."""
    settings = _settings(NatsServer(tmp_path / "nats"), "tls", nats_tls_ca="/nowhere")

    assert "/nowhere: No such file or directory" == await _why_not(settings)

    with pytest.raises(RegistryError, match="/nowhere"):
        await open_registry(settings).start()


def test_the_bus_hides_its_secrets() -> None:
    """No representation holds them."""
    bus: Bus = open_bus(load_settings(None, {}, {"bus": "nats", "nats_token": PASSWORD}))

    assert PASSWORD not in repr(vars(bus))
