"""Log-in and TLS on the way to Redis, as settings say, for all that connects there."""

from pathlib import Path

import pytest

from pogo.bus import BusError
from pogo.cli.buses import open_bus, open_cache, open_records, open_registry, open_webhook_store
from pogo.settings import Settings, load_settings
from tests.bus.helpers import messages, opened
from tests.servers import Certificate, RedisSentinel, RedisServer
from tests.tls.authority import Authority

PASSWORD = "p@ss/wörd"


def _settings(server: RedisServer, **more: object) -> Settings:
    given = {"bus": "redis", "redis_port": server.port, "redis_tls": True, **more}
    return load_settings(None, {}, given)


async def _outcome(settings: Settings) -> BusError | None:
    """Say what becomes of a message with these settings."""
    async with opened(open_bus(settings)) as bus:
        (outcome,) = await bus.publish(messages(b"1"))
        return outcome


async def test_an_authority_of_ones_own(
    tmp_path: Path, issued: Certificate, authority: Authority, stranger: Authority
) -> None:
    """The authority that is named is believed, and then no other; an ACL user logs in."""
    async with RedisServer(
        tmp_path / "redis",
        certificate=issued,
        authority=authority.path,
        user="pogo",
        password=PASSWORD,
    ) as server:
        who = {"redis_user": "pogo", "redis_password": PASSWORD}
        right = _settings(server, redis_tls_ca=str(authority.path), **who)
        wrong = _settings(server, redis_tls_ca=str(stranger.path), **who)

        assert await _outcome(right) is None
        assert "CERTIFICATE_VERIFY_FAILED" in str(await _outcome(wrong))
        assert "CERTIFICATE_VERIFY_FAILED" in str(await _outcome(_settings(server, **who)))
        assert PASSWORD not in repr(right)


async def test_a_certificate_to_show(
    tmp_path: Path, issued: Certificate, authority: Authority
) -> None:
    """A server that asks for one gets it, from all that connects there."""
    async with RedisServer(
        tmp_path / "redis",
        certificate=issued,
        authority=authority.path,
        config=["tls-auth-clients yes", f"tls-ca-cert-file {authority.path}"],
    ) as server:
        # The server under test shows its own certificate as a client, too.
        settings = _settings(
            server,
            redis_tls_ca=str(authority.path),
            redis_tls_cert=str(issued.certificate),
            redis_tls_key=str(issued.key),
        )

        assert await _outcome(_settings(server, redis_tls_ca=str(authority.path))) is not None
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


async def test_sentinels_over_tls(
    tmp_path: Path, issued: Certificate, authority: Authority, stranger: Authority
) -> None:
    """Sentinels are asked in the same way, and believed on the same conditions."""
    tls = ["tls-replication yes", f"tls-ca-cert-file {authority.path}"]
    async with (
        RedisServer(
            tmp_path / "master", certificate=issued, authority=authority.path, config=tls
        ) as master,
        RedisSentinel(
            tmp_path / "sentinel",
            master=master,
            master_name="shop",
            certificate=issued,
            authority=authority.path,
            config=tls,
        ) as sentinel,
    ):
        common = {
            "redis_sentinels": [f"127.0.0.1:{sentinel.port}"],
            "redis_sentinel_master": "shop",
        }

        assert await _outcome(_settings(master, redis_tls_ca=str(authority.path), **common)) is None
        assert (
            await _outcome(_settings(master, redis_tls_ca=str(stranger.path), **common)) is not None
        )


async def test_authorities_that_cannot_be_used() -> None:
    """The bus does not start without the authorities that it is to believe."""
    settings = load_settings(
        None, {}, {"bus": "redis", "redis_tls": True, "redis_tls_ca": "/nowhere"}
    )
    with pytest.raises(BusError, match="/nowhere: No such file or directory"):
        await open_bus(settings).start()
