"""`pogo serve`, `pogo edge` and `pogo broker` as processes, used by the other commands."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from pogo.cli.local import LocalServer
from pogo.settings import load_settings
from tests.cli.conftest import Run
from tests.cli.process import TIMEOUT, Pogo, run_pogo
from tests.registry.nats_helpers import PlainNatsServer
from tests.servers import HOST, NatsServer, RedisServer

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
ONE_APP = '[[apps]]\nid = "one"\nsecret = "secret-of-the-first-app"\n'
TWO_APPS = ONE_APP + '[[apps]]\nid = "two"\nsecret = "secret-of-the-second"\n'

RUN_FILE = "pogo/serve.json"


def _secret(directory: Path) -> str:
    """Read the secret of a server without configuration."""
    return str(json.loads((directory / RUN_FILE).read_text())["secret"])


def _files(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*") if path.is_file()]


async def test_without_configuration_others_find_the_server(tmp_path: Path) -> None:
    """Publish and listen need no flag, the secret stays in the run file, and SIGTERM ends it."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        secret = _secret(tmp_path)
        async with Pogo(tmp_path, "listen", "my-channel", "private-mine") as listen:
            await listen.told("listening to my-channel")
            await listen.told("listening to private-mine")
            published = await run_pogo(tmp_path, "publish", "my-channel", "hello", '{"from":"me"}')
            as_text = await run_pogo(tmp_path, "publish", "private-mine", "note", "plain \x1b[31m")
            lines = await listen.printed(2)
            listened = await listen.stop(signal.SIGINT)
        stopped = await serve.stop()

    assert (0, "ok", "") == published
    assert (0, "ok") == as_text[:2]
    assert "sent as the string" in as_text[2]
    assert ["my-channel", "hello", '{"from":"me"}'] == lines[0].split("  ")[1:]
    assert ["private-mine", "note", '"plain \\u001b[31m"'] == lines[1].split("  ")[1:]
    assert (0, 0) == (listened, stopped)
    assert (["pogo-app"], str(tmp_path / RUN_FILE)) == (ready["apps"], ready["run_file"])
    assert [] == _files(tmp_path)
    assert secret not in "\n".join([*serve.out, *serve.err, *listen.err])


async def test_one_port_has_pages_and_websockets(tmp_path: Path) -> None:
    """The demo, the health and the app's WebSocket on the port that is printed; metrics apart."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        async with aiohttp.ClientSession() as session:
            async with session.get(ready["url"]) as response:
                page = await response.text()
            async with session.get(f"{ready['url']}/up") as response:
                health = response.status
            body = {"event": "hello", "data": "{}"}
            async with session.post(f"{ready['url']}/demo/publish", json=body) as response:
                published = await response.json()
            async with (
                connect(f"{ready['url'].replace('http', 'ws')}/app/pogo-app?protocol=7"),
                session.get(ready["metrics"]) as response,
            ):
                metrics = await response.text()

    assert "<title>Pogo WebSocket</title>" in page
    assert 200 == health
    assert 0 == published["status"]
    assert "pogo_websocket_connections_active 1.0" in metrics
    assert "process_resident_memory_bytes" in metrics


async def test_a_configured_server_has_no_demo(tmp_path: Path) -> None:
    """Neither its page nor its signer nor its publish box; and no run file is written."""
    (tmp_path / "pogo.toml").write_text(ONE_APP)
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        async with aiohttp.ClientSession() as session:
            statuses = []
            for path in ("/", "/demo/auth", "/demo/publish", "/demo/demo.js"):
                async with session.post(ready["url"] + path) as response:
                    statuses.append(response.status)

    assert [404] * 4 == statuses
    assert ready["run_file"] is None
    assert ["pogo.toml"] == _files(tmp_path)


async def test_sighup_reads_the_apps_again(tmp_path: Path) -> None:
    """A bad file is reported and changes nothing; a good one adds and removes apps at once."""
    config = tmp_path / "pogo.toml"
    config.write_text(ONE_APP)
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        to_broker = ("--broker", ready["grpc"])
        async with Pogo(tmp_path, "listen", "c", "--json", "--url", ready["url"]) as listen:
            await listen.told("listening to c")
            config.write_text(TWO_APPS + "typo = 1")
            serve.process.send_signal(signal.SIGHUP)
            refused = await serve.logged("apps not reloaded, the old ones stay")
            config.write_text(ONE_APP)
            assert (0, "ok", "") == await run_pogo(tmp_path, "publish", "c", "e", "1", *to_broker)
            await listen.printed(1)

            config.write_text(
                "port = 1\nmax_payload = 100\n" + TWO_APPS.replace('"one"', '"three"')
            )
            serve.process.send_signal(signal.SIGHUP)
            reloaded = await serve.logged("apps reloaded")
            restart = await serve.logged("other settings have changed and need a restart")
            published = await run_pogo(
                tmp_path, "publish", "c", "e", "1", "--app-id", "two", *to_broker
            )
            code = await listen.exit_code()

    assert "apps[1].typo: unknown setting" in refused["reason"]
    assert ["three", "two"] == reloaded["apps"]
    # Not the port: it comes from a flag, which still wins.
    assert ["max_payload"] == restart["settings"]
    assert (0, "ok", "") == published
    assert 1 == code
    assert "the server refused, 4001" in listen.err[-1]


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """The first begins to drain, which a client that does not answer draws out."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        ready = await serve.logged("ready")
        url = ready["url"].replace("http", "ws")
        # It never reads, so it does not answer the close either.
        async with connect(f"{url}/app/pogo-app?protocol=7", close_timeout=0.1) as websocket:
            await websocket.recv()
            websocket.transport.pause_reading()
            serve.process.send_signal(signal.SIGINT)
            await serve.logged("edge draining")
            await asyncio.sleep(0.6)
            code = await serve.stop(signal.SIGINT)

    assert -signal.SIGINT == code
    assert not any('"edge stopped"' in line for line in serve.err)
    assert [] == _files(tmp_path)


async def test_a_signal_that_comes_twice_is_one(tmp_path: Path) -> None:
    """Whoever signals the process and its group sends two, and means one."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        await serve.logged("ready")
        serve.process.send_signal(signal.SIGTERM)
        code = await serve.stop(signal.SIGTERM)

    assert 0 == code
    assert any('"edge stopped"' in line for line in serve.err)


@pytest.mark.parametrize("flag", ["--port", "--grpc-port", "--metrics-port"])
async def test_a_taken_port_is_named(tmp_path: Path, flag: str) -> None:
    """Exit code 1, and one line that says which port, why, and what to do."""
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        code, out, err = await run_pogo(tmp_path, "serve", *ANY_PORT, flag, str(port))

    (line,) = [line for line in err.splitlines() if line.startswith("pogo: ")]
    assert (1, "") == (code, out)
    assert line.startswith(f"pogo: cannot listen on 127.0.0.1:{port}: ")
    assert flag in line
    assert [] == _files(tmp_path)


@pytest.mark.parametrize("service", ["edge", "broker"])
@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"WS_APP_ID": "1", "WS_APP_SECRET": "s"}, "run `pogo serve`"),
        ({"POGO_BUS": "nats"}, "no app is configured"),
        ({"POGO_BUS": "kafka"}, "POGO_BUS: should be 'memory', 'nats' or 'redis'"),
    ],
)
def test_a_service_apart_needs_a_bus_and_an_app(
    pogo: Run, service: str, env: dict[str, str], message: str
) -> None:
    """Exit code 2, and what to do about it."""
    code, out, err = pogo(service, env=env)

    assert (2, "") == (code, out)
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("bus", ["nats", "redis"])
async def test_edge_and_broker_meet_on_a_bus(tmp_path: Path, bus: str) -> None:
    """As processes of their own: what is published at one is heard at the other."""
    app = {"WS_APP_ID": "shop", "WS_APP_SECRET": "secret-of-the-shop"}
    redis = RedisServer(tmp_path / "redis", user="pogo", password="redis-secret")
    nats = NatsServer(tmp_path / "nats")
    async with nats if bus == "nats" else redis as server:
        env = {
            "POGO_BUS": bus,
            "POGO_NATS_URL": f"nats://{HOST}:{server.port}",
            "POGO_REDIS_PORT": str(server.port),
            "POGO_REDIS_USER": "pogo",
            "POGO_REDIS_PASSWORD": "redis-secret",
            "POGO_REDIS_DB": "2",
            **app,
        }
        edge_ports = ("--port", "0", "--metrics-port", "0")
        async with (
            Pogo(tmp_path, "edge", *edge_ports, env=env) as edge,
            Pogo(tmp_path, "broker", *ANY_PORT, env=env) as broker,
        ):
            url = f"{HOST}:{(await edge.logged('ready'))['port']}"
            target = f"{HOST}:{(await broker.logged('ready'))['grpc_port']}"
            async with Pogo(tmp_path, "listen", "c", "--url", url, env=app) as listen:
                await listen.told("listening to c")
                published = await run_pogo(
                    tmp_path, "publish", "c", "e", "1", env={**app, "POGO_BROKER": target}
                )
                await listen.printed(1)
                await listen.stop(signal.SIGINT)
            codes = (await edge.stop(), await broker.stop())

    assert (0, "ok", "") == published
    assert (0, 0) == codes
    assert "redis-secret" not in "\n".join([*edge.err, *broker.err])


@pytest.mark.parametrize("command", ["edge", "broker"])
async def test_jetstream_is_off(tmp_path: Path, command: str) -> None:
    """It cannot work, and the message says how it can: exit code 2."""
    ports = ANY_PORT[:2] + ANY_PORT[4:] if command == "edge" else ANY_PORT
    async with PlainNatsServer(tmp_path / "nats") as server:
        env = {
            "POGO_BUS": "nats",
            "POGO_NATS_URL": server.url,
            "POGO_APP_ID": "a",
            "POGO_APP_SECRET": "s" * 20,
        }
        code, _, err = await run_pogo(tmp_path, command, *ports, env=env)

    assert 2 == code
    assert "pogo: JetStream is off on this nats-server" in err
    assert "nats-server --jetstream" in err


async def test_a_host_that_is_none_is_no_taken_port(tmp_path: Path) -> None:
    """A configuration that cannot work is exit code 2, and the reason is the system's own."""
    for command in ("serve", "broker"):
        env = {"POGO_BUS": "nats", "POGO_APP_ID": "a", "POGO_APP_SECRET": "s"}
        if command == "serve":
            env = {}
        code, out, err = await run_pogo(
            tmp_path, command, *ANY_PORT, "--host", "no.such.invalid", env=env
        )

        assert (2, "") == (code, out)
        assert "pogo: cannot listen on no.such.invalid:0: " in err
        assert "Stop what has the port" not in err


async def test_a_second_server_leaves_the_first_ones_run_file(tmp_path: Path) -> None:
    """The first one is found as long as it runs, whatever another one does."""
    async with Pogo(tmp_path, "serve", *ANY_PORT) as first:
        await first.logged("ready")
        before = (tmp_path / RUN_FILE).read_text()
        async with Pogo(tmp_path, "serve", *ANY_PORT) as second:
            ready = await second.logged("ready")
            await second.stop()

        assert ready["run_file"] is None
        assert before == (tmp_path / RUN_FILE).read_text()


def test_a_terminal_shows_a_banner_and_stops_the_server_when_closed(tmp_path: Path) -> None:
    """The banner says what to open and to type, but not the secret; its lines are not broken."""
    master, slave = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pogo.cli", "serve", *ANY_PORT],
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "40"},
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(slave)
        text = ""
        while not text.endswith("Ctrl-C\r\n\r\n"):
            text += os.read(master, 4096).decode()
        run = json.loads((tmp_path / RUN_FILE).read_text())
        os.close(master)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=TIMEOUT)

    assert 0 == process.returncode
    assert b'"signal": "SIGHUP"' in err
    assert run["url"] in text
    assert run["broker"] in text
    assert "listen my-channel" in text
    assert 'publish my-channel hello \'{"from":"me"}\'' in text
    assert run["secret"] not in text
    assert "--url" not in text


@pytest.mark.parametrize(("apps", "flags"), [(ONE_APP, ""), (TWO_APPS, " --app-id one")])
def test_a_configured_banner_names_the_server(tmp_path: Path, apps: str, flags: str) -> None:
    """Where no run file leads to the server, the commands to type do."""
    (tmp_path / "own.toml").write_text(apps)
    local = LocalServer(
        load_settings(tmp_path / "own.toml", {}), unconfigured=False, config=Path("own.toml")
    )
    lines = dict(local.lines("http://127.0.0.1:1", "127.0.0.1:2", "", None))

    assert lines["Listen"].endswith(
        f" listen my-channel --url http://127.0.0.1:1 --config own.toml{flags}"
    )
    assert lines["Publish"].endswith(f" --broker 127.0.0.1:2 --config own.toml{flags}")
    assert "http://127.0.0.1:1/apps/one" == lines["HTTP API"]
