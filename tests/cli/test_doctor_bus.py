"""What the doctor finds of bus servers, each right and wrong."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pogo.cli.doctor.nats_streams import StreamInfo, Wanted, judge_stream
from pogo.cli.doctor.redis import judge_memory, judge_role
from tests.cli.doctoring import (
    APP,
    APP_ID,
    OK,
    SECRET,
    SKIPPED,
    WARNING,
    WRONG,
    found,
    results,
)
from tests.cli.process import Pogo
from tests.deploy.bus_servers import StackNats
from tests.servers import HOST, NatsServer, RedisReplica, RedisServer, free_port

HOOK = [{**APP, "webhooks": [{"url": "http://127.0.0.1:1/"}]}]
STORES = ("registry", "records", "webhooks")
DEPENDENT = ("messages", *STORES, "nodes")


class NatsWithoutJetStream(NatsServer):
    """A nats-server that stores nothing."""

    def _command(self, port: int) -> list[str]:
        return [word for word in super()._command(port) if word != "-js"]


@pytest.fixture(name="nats")
async def _nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a nats-server."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(name="redis")
async def _redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """Run a redis-server."""
    async with RedisServer(tmp_path / "redis") as server:
        yield server


def _on(server: NatsServer | RedisServer) -> dict[str, Any]:
    if isinstance(server, NatsServer):
        return {"bus": "nats", "nats_url": [server.url]}
    return {"bus": "redis", "redis_port": server.port}


def _edge(directory: Path, server: NatsServer | RedisServer) -> Pogo:
    bus = (
        {"POGO_BUS": "nats", "POGO_NATS_URL": server.url}
        if isinstance(server, NatsServer)
        else {"POGO_BUS": "redis", "POGO_REDIS_PORT": str(server.port)}
    )
    app = {"POGO_APP_ID": APP_ID, "POGO_APP_SECRET": SECRET, "POGO_LOG_FORMAT": "json"}
    return Pogo(directory, "edge", "--port", "0", "--metrics-port", "0", env={**bus, **app})


async def test_nats_that_is_right(nats: NatsServer) -> None:
    """It is asked and changed in nothing: there is no stream before and afterwards."""
    findings = await found(**_on(nats), apps=HOOK)
    again = await found(**_on(nats), apps=HOOK)

    assert dict.fromkeys(("bus", "messages", *STORES), OK) == results(
        findings, "bus", "messages", *STORES
    )
    assert all("is not there yet" in again[name].text for name in STORES)
    assert "nats-server 2." in findings["bus"].text


async def test_no_webhooks(nats: NatsServer) -> None:
    """What no app needs is not looked at."""
    assert SKIPPED == (await found(**_on(nats)))["webhooks"].result


async def test_nats_that_is_away() -> None:
    """It is said once; what needs the bus is skipped."""
    findings = await found(bus="nats", nats_url=[f"nats://{HOST}:{free_port()}"])

    assert {"bus": WRONG, **dict.fromkeys(DEPENDENT, SKIPPED)} == results(
        findings, "bus", *DEPENDENT
    )
    assert "Connection refused" in findings["bus"].text
    assert "POGO_NATS_URL" in findings["bus"].advice


async def test_one_of_two_servers_is_away(nats: NatsServer) -> None:
    """It works, as long as the other one does; the rest is asked of that one."""
    findings = await found(bus="nats", nats_url=[f"nats://{HOST}:{free_port()}", nats.url])

    assert (WARNING, OK) == (findings["bus"].result, findings["registry"].result)
    assert nats.url.removeprefix("nats://") not in findings["bus"].text


async def test_a_wrong_password_of_nats(tmp_path: Path) -> None:
    """The advice is about the login, and the password is nowhere."""
    async with NatsServer(tmp_path, args=["--user", "u", "--pass", "right"]) as nats:
        url = nats.url.replace("://", "://u:hunter2@")
        findings = await found(bus="nats", nats_url=[url])

    bus = findings["bus"]
    assert (WRONG, True) == (bus.result, "nats_user" in bus.advice)
    assert not any("hunter2" in each.text + each.advice for each in findings.values())


async def test_jetstream_is_off(tmp_path: Path) -> None:
    """Messages pass, and nothing can be kept: all stores say so, and how to switch it on."""
    async with NatsWithoutJetStream(tmp_path) as nats:
        findings = await found(**_on(nats), apps=HOOK)

    assert dict.fromkeys(STORES, WRONG) == results(findings, *STORES)
    assert (OK, OK) == (findings["bus"].result, findings["messages"].result)
    assert all("--jetstream" in findings[name].advice for name in STORES)


async def test_nats_takes_small_messages_only(tmp_path: Path) -> None:
    """Large events would get status 4, and webhooks would not work at all."""
    config = tmp_path / "nats.conf"
    config.write_text("max_payload: 65536\n")
    async with NatsServer(tmp_path, args=["-c", str(config)]) as nats:
        findings = await found(**_on(nats), apps=HOOK)

    assert {"bus": WARNING, "webhooks": WRONG} == results(findings, "bus", "webhooks")


@pytest.mark.parametrize(("user", "result"), [("edge", OK), ("broker", WARNING)])
async def test_users_of_the_stack_on_nats(tmp_path: Path, user: str, result: object) -> None:
    """With their permissions all can be looked at; a broker's user hears no channels."""
    passwords = {"BUS_EDGE_PASSWORD": "edge-secret", "BUS_BROKER_PASSWORD": "broker-secret"}
    async with StackNats(tmp_path, passwords) as nats:
        login: dict[str, Any] = {"nats_user": user, "nats_password": f"{user}-secret"}
        findings = await found(**_on(nats), **login, apps=HOOK)

    assert {"bus": OK, "messages": result, **dict.fromkeys(STORES, OK)} == results(
        findings, "bus", "messages", *STORES
    )


async def test_a_user_who_may_do_nothing(tmp_path: Path) -> None:
    """Each check says what is not allowed, within its time."""
    config = tmp_path / "nats.conf"
    config.write_text(
        "authorization { users: [ { user: u, password: p, permissions: "
        '{ publish: { allow: ["nothing"] }, subscribe: { allow: ["_INBOX.>"] } } } ] }\n'
    )
    async with NatsServer(tmp_path, args=["-c", str(config)]) as nats:
        findings = await found(**_on(nats), nats_user="u", nats_password="p")

    assert {"bus": OK, "messages": WRONG, "registry": WRONG, "nodes": WRONG} == results(
        findings, "bus", "messages", "registry", "nodes"
    )
    assert "may not ask" in findings["registry"].text
    assert "may not publish" in findings["messages"].text


@pytest.mark.parametrize("kind", [NatsServer, RedisServer])
async def test_nodes(kind: type[NatsServer | RedisServer], tmp_path: Path) -> None:
    """Who lives is counted, who does not beat is named, and the clock of the server is read."""
    async with kind(tmp_path / "bus") as server, _edge(tmp_path, server) as edge:
        await edge.logged("ready")
        alive = await found(**_on(server))
        edge.process.send_signal(signal.SIGSTOP)
        frozen = await found(**_on(server))
        edge.process.send_signal(signal.SIGCONT)

    # There is no broker.
    assert WARNING == alive["nodes"].result
    assert "1 edge(s) and 0 broker(s) live" in alive["nodes"].text
    assert "not heard of" in frozen["nodes"].text
    assert (OK, True) == (alive["clock"].result, "the bus server" in alive["clock"].text)


WANTED = Wanted("KV_pogo", "memory", 3, "nats_registry_bytes")


def _info(**fields: object) -> StreamInfo:
    config = {"storage": "memory", "num_replicas": 3, "max_bytes": 1000}
    return msgspec.convert({"config": config, **fields}, StreamInfo)


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({}, OK),
        ({"state": {"bytes": 799}}, OK),
        ({"state": {"bytes": 800}}, WARNING),
        ({"config": {"storage": "file", "num_replicas": 3}}, WARNING),
        ({"config": {"storage": "memory", "num_replicas": 1}}, WARNING),
        ({"cluster": {"leader": "a", "replicas": [{"name": "b"}, {"name": "c"}]}}, OK),
        ({"cluster": {"leader": "a", "replicas": [{"name": "b", "offline": True}]}}, WARNING),
        ({"cluster": {"leader": "a", "replicas": [{"name": "b", "current": False}]}}, WARNING),
        ({"cluster": {"leader": "", "replicas": []}}, WRONG),
    ],
)
def test_streams(fields: dict[str, object], result: object) -> None:
    """A stream has its copies, is kept as it should be, has room and has a leader."""
    assert result == judge_stream(WANTED, _info(**fields)).result


async def test_redis_that_is_right(redis: RedisServer) -> None:
    """It keeps what it is told; without an append-only file, webhooks are worth a warning."""
    findings = await found(**_on(redis), apps=HOOK)

    assert {
        "bus": OK,
        "messages": OK,
        "registry": OK,
        "records": OK,
        "webhooks": WARNING,
        "clock": OK,
    } == results(findings, "bus", "messages", *STORES, "clock")
    assert "appendonly yes" in findings["webhooks"].advice


async def test_redis_that_is_away() -> None:
    """It is said once; what needs the bus is skipped."""
    findings = await found(bus="redis", redis_port=free_port())

    assert {"bus": WRONG, **dict.fromkeys(DEPENDENT, SKIPPED)} == results(
        findings, "bus", *DEPENDENT
    )
    assert "POGO_REDIS_HOST" in findings["bus"].advice


async def test_a_wrong_password_of_redis(tmp_path: Path) -> None:
    """The advice is about the login, and the password is nowhere."""
    async with RedisServer(tmp_path, password="right") as redis:
        findings = await found(**_on(redis), redis_password="hunter2")

    bus = findings["bus"]
    assert (WRONG, True) == (bus.result, "redis_user" in bus.advice)
    assert not any("hunter2" in each.text + each.advice for each in findings.values())


async def test_redis_that_forgets(tmp_path: Path) -> None:
    """A policy that evicts would lose who is present."""
    config = ["maxmemory 100mb", "maxmemory-policy allkeys-lru", "appendonly yes"]
    async with RedisServer(tmp_path, config=config) as redis:
        findings = await found(**_on(redis), apps=HOOK)

    assert {"registry": WRONG, "webhooks": OK} == results(findings, "registry", "webhooks")


async def test_a_replica(redis: RedisServer, tmp_path: Path) -> None:
    """Nothing can be written to it."""
    async with RedisReplica(tmp_path / "replica", master=redis) as replica:
        findings = await found(**_on(replica))

    assert (WRONG, SKIPPED) == (findings["bus"].result, findings["messages"].result)
    assert "replica" in findings["bus"].text


async def test_users_of_redis(tmp_path: Path) -> None:
    """With the permissions of the stack all can be looked at; without INFO it is said."""
    rights = "on >secret ~pogo:v1:* &pogo.v1.* +@all -@admin -@dangerous"
    config = [f"user edge {rights} +info", f"user blind {rights}"]
    async with RedisServer(tmp_path, config=config) as redis:
        edge = await found(**_on(redis), redis_user="edge", redis_password="secret", apps=HOOK)
        blind = await found(**_on(redis), redis_user="blind", redis_password="secret", apps=HOOK)

    assert {"bus": OK, "messages": OK, "registry": OK} == results(
        edge, "bus", "messages", "registry"
    )
    assert {"bus": WARNING, "messages": OK, "registry": WARNING} == results(
        blind, "bus", "messages", "registry"
    )


def test_roles_of_redis() -> None:
    """A part of a Redis Cluster cannot be used."""
    assert WRONG == judge_role("it", {"cluster_enabled": "1", "role": "master"}).result
    assert OK == judge_role("it", {"cluster_enabled": "0", "role": "master"}).result


def test_memory_of_redis() -> None:
    """A server that is nearly full is worth a warning."""
    assert OK == judge_memory({"used_memory": "79", "maxmemory": "100"}).result
    assert WARNING == judge_memory({"used_memory": "80", "maxmemory": "100"}).result
    assert OK == judge_memory({"used_memory": "80", "maxmemory": "0"}).result
