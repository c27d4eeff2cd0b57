import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pogo.settings import Settings, SettingsError, development_secrets, load_settings
from tests.cli.process import run_typed
from tests.deploy.compose import ROOT, ComposeError, compose_config, make_env
from tests.documents import documented

Service = dict[str, Any]

OURS = ("edge", "broker", "authsvc")
BUILT = (*OURS, "php")
SERVICES = (*BUILT, "bus", "gateway", "grafana", "prometheus")
# The folders of data in the images of these belong to root.
ROOTS = ("bus", "gateway")


@pytest.fixture(name="services", scope="module", params=["nats", "redis"])
def _services(request: pytest.FixtureRequest) -> dict[str, Service]:
    return dict(compose_config(POGO_BUS=request.param)["services"])


def _dockerfile(service: str) -> str:
    return (ROOT / service / "Dockerfile").read_text()


def _settings(service: Service) -> Settings:
    return load_settings(None, service["environment"])


def test_the_services_are_those(services: dict[str, Service]) -> None:
    """One name for the bus, whichever it is."""
    assert sorted(SERVICES) == sorted(services)


def test_nats_is_the_default() -> None:
    """Without any variable the bus is NATS; by one variable it is Redis."""
    configs = (compose_config(), compose_config(POGO_BUS="redis"))
    images = [config["services"]["bus"]["image"] for config in configs]

    assert ["nats", "redis"] == [image.partition(":")[0] for image in images]


def test_another_bus_is_an_error() -> None:
    """It names the file that there would have to be."""
    with pytest.raises(ComposeError, match="kafka"):
        compose_config(POGO_BUS="kafka")


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_hardened(services: dict[str, Service], name: str) -> None:
    """Nothing can be written but where it is said, no privilege gained, no resource used up."""
    service = services[name]
    limits = service["deploy"]["resources"]["limits"]

    assert service["read_only"]
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert "unless-stopped" == service["restart"]
    assert {"cpus", "memory", "pids"} == limits.keys()
    assert {"max-size", "max-file"} == service["logging"]["options"].keys()
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted({*SERVICES} - {*BUILT} - {*ROOTS}))
def test_foreign_images_run_as_nobody_special(services: dict[str, Service], name: str) -> None:
    """Where an image allows it, its user is not root."""
    assert not services[name]["user"].startswith("0")


@pytest.mark.parametrize("name", BUILT)
def test_own_images(name: str) -> None:
    """They run as a user without a name, know how they are stopped, and whether they are well."""
    final = _dockerfile(name).rpartition("\nFROM ")[2]

    assert "\nUSER 10001:10001\n" in final
    assert "\nSTOPSIGNAL SIG" in final
    assert "\nHEALTHCHECK " in final
    assert "\nENTRYPOINT [" in final


@pytest.mark.parametrize("name", sorted({*SERVICES} - {*BUILT}))
def test_foreign_images_are_checked(services: dict[str, Service], name: str) -> None:
    """Their health is asked for, too; and each has a version."""
    assert "test" in services[name]["healthcheck"]
    assert "latest" not in services[name]["image"].rpartition(":")[2]
    assert ":" in services[name]["image"]


def test_only_the_gateway_is_reachable(services: dict[str, Service]) -> None:
    """No other service has a port outside, but for Grafana's on this machine alone."""
    ports = {
        name: [(port["host_ip"], port["target"]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }

    assert {
        "gateway": [("127.0.0.1", 80), ("127.0.0.1", 443)],
        "grafana": [("127.0.0.1", 3000)],
    } == ports


def test_who_shares_a_network() -> None:
    """The bus is met by edges and brokers only, and nothing reaches out from there."""
    config = compose_config()
    members: dict[str, set[str]] = {}
    for name, service in config["services"].items():
        for network in service["networks"]:
            members.setdefault(network, set()).add(name)

    assert {
        "front": {"gateway", *BUILT},
        "bus": {"bus", "edge", "broker"},
        "monitoring": {"prometheus", "grafana", *OURS},
        "administration": {"grafana"},
    } == members
    assert {"bus", "monitoring"} == {
        name for name, network in config["networks"].items() if network.get("internal")
    }


def test_the_gateway_alone_is_trusted() -> None:
    """Its address is fixed, and no other container can be given it."""
    config = compose_config()
    (pool,) = config["networks"]["front"]["ipam"]["config"]
    address = config["services"]["gateway"]["networks"]["front"]["ipv4_address"]

    assert ip_address(address) in ip_network(pool["subnet"])
    assert ip_address(address) not in ip_network(pool["ip_range"])
    for name in OURS:
        settings = _settings(config["services"][name])
        assert (ip_network(address),) == settings.trusted_proxies


@pytest.mark.parametrize(
    "pool", ["172.17.0.0/16", "172.18.0.0/15", "172.20.0.0/14", "172.24.0.0/13", "192.168.0.0/16"]
)
def test_the_subnet_is_nobody_elses(pool: str) -> None:
    """Docker gives other networks of its default pools, each in turn, so ours is none of them."""
    (front,) = compose_config()["networks"]["front"]["ipam"]["config"]

    assert not ip_network(pool).overlaps(ip_network(front["subnet"]))


@pytest.mark.parametrize("name", OURS)
def test_settings_are_known(services: dict[str, Service], name: str) -> None:
    """The services start with what they are given, and know secrets of development."""
    settings = _settings(services[name])

    assert ("apps", 0, "secret") in development_secrets(settings)
    assert name == "authsvc" or ("redis_password",) in development_secrets(settings)
    assert name == "authsvc" or ("nats_url", 0) in development_secrets(settings)


@pytest.mark.parametrize("name", OURS)
def test_a_secret_can_be_rotated(name: str) -> None:
    """All services take the one before, too; without a rotation there is none."""
    rotating = compose_config(POGO_APP_PREVIOUS_SECRET="the one before")["services"]
    before = [
        _settings(services[name]).apps[0].previous_secret
        for services in (compose_config()["services"], rotating)
    ]

    assert [None, SecretStr("the one before")] == before


@pytest.mark.parametrize("name", OURS)
def test_production_needs_secrets(name: str) -> None:
    """Without any of its own the stack does not start in production."""
    services = compose_config(POGO_ENV="production")["services"]

    with pytest.raises(SettingsError, match="secret of development"):
        _settings(services[name])


@pytest.mark.parametrize("name", OURS)
def test_make_env(tmp_path: Path, name: str) -> None:
    """It writes all secrets that there are, for production, and for its owner's eyes alone."""
    file = make_env(tmp_path / ".env")
    settings = _settings(compose_config(env_file=file)["services"][name])

    assert "production" == settings.env
    assert [] == development_secrets(settings)
    assert 0o600 == file.stat().st_mode & 0o777
    assert "insecure-" not in str(compose_config(env_file=file))


async def test_make_env_as_documented(tmp_path: Path) -> None:
    """It writes the file beside compose.yaml, for its owner alone."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "Makefile", tmp_path)
    code, _, err = await run_typed(tmp_path, documented("docs/compose.md", "Secrets", "sh"))

    assert 0 == code, err
    assert 0o600 == (tmp_path / ".env").stat().st_mode & 0o777
    assert "POGO_ENV=production" in (tmp_path / ".env").read_text().splitlines()


def test_make_env_keeps_what_is_there(tmp_path: Path) -> None:
    """Who runs it twice keeps the first secrets; elsewhere they are others."""
    file = make_env(tmp_path / "one")
    before = file.read_text()
    with pytest.raises(subprocess.CalledProcessError):
        make_env(file)

    assert before == file.read_text()
    assert before != make_env(tmp_path / "two").read_text()


@pytest.mark.parametrize("name", OURS)
def test_they_are_given_time_to_stop(services: dict[str, Service], name: str) -> None:
    """Compose kills nobody who still drains."""
    given = float(services[name]["stop_grace_period"].removesuffix("s"))

    assert given > _settings(services[name]).shutdown_timeout + 2


def test_php_has_a_child_for_each_question(services: dict[str, Service]) -> None:
    """The pool for signatures has as many children as the auth services have connections."""
    pools = (ROOT / "deploy/php/php-fpm.conf").read_text().partition("[auth]")[2]
    authsvc = services["authsvc"]
    connections = _settings(authsvc).auth_connections * authsvc["deploy"].get("replicas", 1)

    assert f"\npm.max_children = {connections}\n" in pools


def test_no_developer_leaks_into_images() -> None:
    """The context of builds is what is named, and of that no secrets and no tests."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert "*" == next(line for line in lines if not line.startswith("#"))
    assert {"**/.env", "**/pogo.toml", "php/tests"} <= set(lines)
    assert not any(line.startswith(("!tests", "!.")) for line in lines)
