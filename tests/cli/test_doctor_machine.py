"""What the doctor finds without asking anybody."""

import resource
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pogo.cli.doctor.certificates import judge_end
from pogo.cli.doctor.clock import judge_clocks
from pogo.cli.doctor.machine import judge_machine, judge_process
from tests.cli.doctoring import OK, SKIPPED, WARNING, WRONG, found, settings_of
from tests.servers import Certificate
from tests.tls.authority import Authority

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(name="authority")
def _authority(tmp_path: Path) -> Authority:
    """Make an authority."""
    return Authority(tmp_path / "authority")


@pytest.fixture(name="few_files")
def _few_files() -> Iterator[int]:
    """Let this process open few files, as a shell does by default; yields how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = min(soft, 1024)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    yield few
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_app_for_services_that_need_one() -> None:
    """Edges and brokers do not start without; `pogo serve` does."""
    apart = await found(apps=[], bus="redis", redis_port=1)
    alone = await found(apps=[])

    assert (WRONG, OK) == (apart["settings"].result, alone["settings"].result)


async def test_secrets_that_others_know() -> None:
    """Secrets of development and short ones are named by their place, and never quoted."""
    apps = [{"id": "a", "secret": "insecure-development"}, {"id": "b", "secret": "hunter2"}]

    secrets = (await found(apps=apps))["secrets"]

    assert WARNING == secrets.result
    assert "apps[0].secret" in secrets.text
    assert "'b'" in secrets.text
    assert not {"insecure-development", "hunter2"} & set(secrets.text.split())


async def test_a_limit_of_files_below_max_connections(few_files: int) -> None:
    """An edge would run out of them before it is full: said with what to type."""
    limit = (await found(max_connections=few_files))["file limit"]
    enough = (await found(max_connections=few_files - 100))["file limit"]

    assert (WARNING, OK) == (limit.result, enough.result)
    assert f"ulimit -n {few_files + 100}" in limit.advice


def test_files_of_a_process() -> None:
    """In production a limit that is too low is wrong; the hard limit is told where it matters."""
    settings = settings_of(env="production", max_connections=10_000)

    low = judge_process(1024, 4096, settings)

    assert (WRONG, True) == (low.result, "the hard limit is 4096" in low.advice)
    assert "hard" not in judge_process(1024, 65_536, settings).advice
    assert OK == judge_process(None, None, settings).result
    assert OK == judge_process(10_100, 10_100, settings).result


def test_files_of_the_machine() -> None:
    """All workers together need no more than the machine has."""
    assert WARNING == judge_machine(20_000, 20_001).result
    assert OK == judge_machine(20_000, 20_000).result
    assert OK == judge_machine(None, 20_000).result


async def test_no_certificates() -> None:
    """Without TLS there is nothing to look at."""
    assert SKIPPED == (await found())["certificates"].result


def _files(issued: Certificate) -> dict[str, Any]:
    return {"tls_cert": str(issued.certificate), "tls_key": str(issued.key)}


async def test_a_good_certificate(authority: Authority) -> None:
    """Its end and its names are told."""
    issued = authority.issue("site", "ws.example.com", expires=datetime.now(UTC) + timedelta(30))

    certificates = (await found(**_files(issued)))["certificates"]

    assert OK == certificates.result
    assert "ws.example.com" in certificates.text


async def test_certificates_that_end(authority: Authority) -> None:
    """One that has ended is wrong, one that ends soon is worth a warning."""
    gone = authority.issue("gone", expires=datetime.now(UTC) - timedelta(hours=1))
    soon = authority.issue("soon", expires=datetime.now(UTC) + timedelta(3))

    ended = (await found(**_files(gone)))["certificates"]
    ending = (await found(**_files(soon)))["certificates"]

    assert (WRONG, WARNING) == (ended.result, ending.result)
    assert "has ended on" in ended.text
    assert "in 2 days" in ending.text


async def test_a_certificate_without_its_key(authority: Authority) -> None:
    """What no service could start with is told with the setting and the file."""
    one, other = authority.issue("one"), authority.issue("other")

    certificates = (await found(tls_cert=str(one.certificate), tls_key=str(other.key)))[
        "certificates"
    ]

    assert WRONG == certificates.result
    assert f"tls_cert: {other.key}: is not the key of" in certificates.text


async def test_files_of_clients(authority: Authority, tmp_path: Path) -> None:
    """Authorities that are believed, and what is shown to servers, are looked at as well."""
    shown = authority.issue("client", expires=datetime.now(UTC) - timedelta(1))
    (tmp_path / "empty.pem").touch()
    common: dict[str, Any] = {"bus": "redis", "redis_port": 1, "redis_tls": True}

    expired = await found(
        **common, redis_tls_cert=str(shown.certificate), redis_tls_key=str(shown.key)
    )
    empty = await found(**common, redis_tls_ca=str(tmp_path / "empty.pem"))

    assert "redis_tls_cert: has ended on" in expired["certificates"].text
    assert "redis_tls_ca" in empty["certificates"].text
    assert [WRONG] * 2 == [each["certificates"].result for each in (expired, empty)]


async def test_a_key_that_everybody_can_read(authority: Authority) -> None:
    """It works, and is worth a warning that says what to type."""
    issued = authority.issue(expires=datetime.now(UTC) + timedelta(30))
    issued.key.chmod(0o644)

    certificates = (await found(**_files(issued)))["certificates"]

    assert (WARNING, "chmod o-r it") == (certificates.result, certificates.advice)


@pytest.mark.parametrize(
    ("left", "result"),
    [(timedelta(), WRONG), (timedelta(seconds=1), WARNING), (timedelta(14), OK)],
)
def test_the_end_of_a_certificate(left: timedelta, result: object) -> None:
    """Two weeks are enough to renew it in peace."""
    assert result == judge_end("it", NOW + left, NOW).result


@pytest.mark.parametrize(
    ("offset", "result"),
    [(0.0, OK), (4.9, OK), (-6.0, WARNING), (29.0, WARNING), (31.0, WRONG), (-31.0, WRONG)],
)
def test_clocks(offset: float, result: object) -> None:
    """Beyond the leeway of brokers, publishers are refused: the worst of all clocks counts."""
    assert result == judge_clocks({"one": 0.2, "other": offset}).result


def test_no_clock() -> None:
    """Where nobody tells the time, nothing is claimed."""
    assert SKIPPED == judge_clocks({}).result


def test_which_clock_is_ahead() -> None:
    """The finding says whose it is, and on which side."""
    assert "of redis is 40 s ahead of" in judge_clocks({"redis": 40.0}).text
    assert "of redis is 40 s behind" in judge_clocks({"redis": -40.0}).text
