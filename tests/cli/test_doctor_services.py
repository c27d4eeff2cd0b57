"""What the doctor finds of edges, brokers, auth services and PHP workers, each right and wrong."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pogo.cli.doctor import Flags
from pogo.cli.errors import UsageError
from tests.authsvc.helpers import WORKERS, ScriptedServer
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
from tests.cli.process import TIMEOUT, Pogo
from tests.nginx import Nginx
from tests.php_fpm import PhpFpm
from tests.servers import HOST, Certificate, NatsServer, free_port
from tests.tls.authority import Authority

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
ENVIRONMENT = {"POGO_APP_ID": APP_ID, "POGO_APP_SECRET": SECRET, "POGO_LOG_FORMAT": "json"}
FRONT = ("edge", "http api", "broker")
OTHER_SECRET = [{**APP, "secret": "another-secret-of-the-app"}]


@asynccontextmanager
async def _serve(directory: Path, **environment: str) -> AsyncIterator[Flags]:
    """Run `pogo serve`; yields the flags that lead there."""
    async with Pogo(directory, "serve", *ANY_PORT, env={**ENVIRONMENT, **environment}) as serve:
        ready = await serve.logged("ready")
        yield Flags(url=ready["url"], broker=ready["grpc"])


async def test_services_that_are_right(tmp_path: Path) -> None:
    """An edge, the HTTP API and a broker are reached, and accept the app."""
    async with _serve(tmp_path) as flags:
        findings = await found(flags)

    assert dict.fromkeys((*FRONT, "clock", "proxies"), OK) == results(
        findings, *FRONT, "clock", "proxies"
    )
    assert f"the app '{APP_ID}'" in findings["edge"].text


async def test_services_on_this_machine(tmp_path: Path) -> None:
    """They are found at the ports of the settings without being named."""
    port, grpc_port = free_port(), free_port()
    ports = {"POGO_PORT": str(port), "POGO_GRPC_PORT": str(grpc_port), "POGO_METRICS_PORT": "0"}
    async with Pogo(tmp_path, "serve", env={**ENVIRONMENT, **ports}) as serve:
        await serve.logged("ready")
        findings = await found(port=port, grpc_port=grpc_port)

    assert dict.fromkeys(FRONT, OK) == results(findings, *FRONT)


async def test_services_that_are_away() -> None:
    """Those that are named have to be there; the others may be elsewhere."""
    nowhere = f"{HOST}:{free_port()}"
    flags = Flags(url=f"http://{nowhere}", broker=nowhere, authsvc=nowhere)

    named, looked_for = await found(flags), await found()

    every = (*FRONT, "auth service")
    assert dict.fromkeys(every, WRONG) == results(named, *every)
    assert all("Connect call failed" in named[name].text for name in every)
    assert dict.fromkeys(every, SKIPPED) == results(looked_for, *every)


async def test_a_wrong_secret(tmp_path: Path) -> None:
    """Back ends are refused, and told so; no secret is told."""
    async with _serve(tmp_path) as flags:
        findings = await found(flags, apps=OTHER_SECRET)

    assert {"edge": OK, "http api": WRONG, "broker": WRONG} == results(findings, *FRONT)
    assert all("same secret" in findings[name].advice for name in ("http api", "broker"))
    assert not any(
        secret in each.text + each.advice
        for each in findings.values()
        for secret in (SECRET, "another-secret")
    )


async def test_an_app_that_services_do_not_know(tmp_path: Path) -> None:
    """The edge says 4001."""
    async with _serve(tmp_path) as flags:
        findings = await found(flags, apps=[{**APP, "id": "other"}])

    assert dict.fromkeys(FRONT, WRONG) == results(findings, *FRONT)
    assert "4001" in findings["edge"].text
    assert "--app-id" in findings["edge"].advice


async def test_an_edge_that_insists_on_a_page(tmp_path: Path) -> None:
    """The doctor comes from a page that the settings let in; if they name none, it is told so."""
    origins = {"POGO_ALLOWED_ORIGINS": "shop.example", "POGO_SUBSCRIBE_WITHOUT_AUTH": "true"}
    worker = {"POGO_AUTH_UPSTREAM": f"http://{HOST}:{free_port()}"}
    async with _serve(tmp_path, **origins, **worker) as flags:
        same = (await found(flags, allowed_origins=["*.shop.example", "shop.example"]))["edge"]
        other = (await found(flags))["edge"]

    assert (OK, WRONG) == (same.result, other.result)
    assert ("4009" in other.text, "allowed_origins" in other.advice) == (True, True)


async def test_an_address_from_which_too_many_come(tmp_path: Path) -> None:
    """The edge is there, and does not let the doctor in now."""
    async with _serve(tmp_path, POGO_HANDSHAKE_RATE="0.01", POGO_HANDSHAKE_BURST="1") as flags:
        await found(flags)
        edge = (await found(flags))["edge"]

    assert (WARNING, True) == (edge.result, "trusted_proxies" in edge.advice)


async def _until_up(port: int) -> None:
    """Wait until a service says that it is well."""
    async with asyncio.timeout(TIMEOUT), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{HOST}:{port}/up") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_services_apart(tmp_path: Path) -> None:
    """An edge is no broker; an edge that does not answer is missed, and a bus that went away."""
    async with NatsServer(tmp_path / "nats") as nats:
        bus = {"POGO_BUS": "nats", "POGO_NATS_URL": nats.url}
        env = {**ENVIRONMENT, **bus}
        ports = ("--port", "0", "--metrics-port", "0")
        async with (
            Pogo(tmp_path, "edge", *ports, env=env) as edge,
            Pogo(tmp_path, "broker", *ANY_PORT, env=env) as broker,
        ):
            edge_port = (await edge.logged("ready"))["port"]
            ready = await broker.logged("ready")
            await _until_up(ready["port"])
            at_edge, at_broker = f"{HOST}:{edge_port}", f"{HOST}:{ready['port']}"
            grpc = f"{HOST}:{ready['grpc_port']}"
            settings: dict[str, Any] = {"bus": "nats", "nats_url": [nats.url]}
            right = await found(Flags(at_broker, at_edge, grpc), **settings)
            swapped = await found(Flags(at_edge, at_broker, at_edge))
            unnamed = await found(Flags(broker=grpc), port=edge_port)
            edge.process.send_signal(signal.SIGSTOP)
            frozen = (await found(Flags(url=at_broker)))["http api"]
            edge.process.send_signal(signal.SIGCONT)
            nats.kill()
            await broker.logged("broker is not serving: the bus is away")
            away = (await found(Flags(broker=grpc)))["broker"]

    assert dict.fromkeys((*FRONT, "nodes"), OK) == results(right, *FRONT, "nodes")
    assert dict.fromkeys(FRONT, WRONG) == results(swapped, *FRONT)
    assert {"edge": OK, "http api": SKIPPED} == results(unnamed, "edge", "http api")
    assert (WARNING, True) == (frozen.result, "not all edges" in frozen.text)
    assert (WRONG, True) == (away.result, "does not serve" in away.text)


@pytest.fixture(name="authority")
def _authority(tmp_path: Path) -> Authority:
    """Make an authority."""
    return Authority(tmp_path / "authority")


def _files(issued: Certificate) -> dict[str, str]:
    return {"POGO_TLS_CERT": str(issued.certificate), "POGO_TLS_KEY": str(issued.key)}


async def test_services_with_tls(tmp_path: Path, authority: Authority) -> None:
    """They are believed if their authority is; the end of the certificate that is shown counts."""
    issued = authority.issue(expires=datetime.now(UTC) + timedelta(3))
    async with _serve(tmp_path, **_files(issued)) as flags:
        believed = await found(Flags(flags.url, None, flags.broker, tls=True, ca=authority.path))
        doubted = await found(Flags(flags.url, None, flags.broker, tls=True))
        plain = await found(Flags(str(flags.url).replace("https:", "http:"), None, flags.broker))

    assert {"edge": WARNING, "http api": OK, "broker": OK} == results(believed, *FRONT)
    assert "ends on" in believed["edge"].text
    assert dict.fromkeys(FRONT, WRONG) == results(doubted, *FRONT)
    assert all("--ca" in doubted[name].advice for name in FRONT)
    assert dict.fromkeys(FRONT, WRONG) == results(plain, *FRONT)


async def test_a_certificate_that_has_ended(tmp_path: Path, authority: Authority) -> None:
    """No client takes it any more, and the doctor says why."""
    issued = authority.issue(expires=datetime.now(UTC) - timedelta(1))
    async with _serve(tmp_path, **_files(issued)) as flags:
        findings = await found(Flags(flags.url, None, flags.broker, tls=True, ca=authority.path))

    assert dict.fromkeys(FRONT, WRONG) == results(findings, *FRONT)
    assert "certificate has expired" in findings["edge"].text


async def test_a_proxy_that_is_not_trusted(tmp_path: Path) -> None:
    """It is seen by what it adds to answers, and has to be named."""
    async with _serve(tmp_path) as flags:
        locations = (
            f"location / {{ proxy_pass {flags.url}; proxy_http_version 1.1; "
            "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }"
        )
        async with Nginx(tmp_path / "nginx", locations) as nginx:
            behind = Flags(url=nginx.url)
            unnamed = (await found(behind))["proxies"]
            named = (await found(behind, trusted_proxies=["127.0.0.0/8"]))["proxies"]

    assert (WARNING, OK) == (unnamed.result, named.result)
    assert "nginx" in unnamed.text


@pytest.mark.parametrize(
    "flags",
    [
        Flags(url="ftp://127.0.0.1"),
        Flags(url="http://:80"),
        Flags(url="http://user:hunter2@127.0.0.1"),
        Flags(url="http://127.0.0.1:http"),
        Flags(broker="127.0.0.1"),
        Flags(broker="127.0.0.1:0"),
        Flags(broker="http://127.0.0.1:50051"),
        Flags(authsvc="127.0.0.1:99999"),
        Flags(app_id="nobody"),
    ],
)
async def test_flags_that_lead_nowhere(flags: Flags) -> None:
    """They are refused before anything is looked at, without what they may hold."""
    with pytest.raises(UsageError) as caught:
        await found(flags)

    assert "hunter2" not in str(caught.value)


# The auth service and its worker


@pytest.fixture(name="fpm")
async def _fpm(tmp_path: Path) -> AsyncIterator[PhpFpm]:
    """Run a php-fpm whose scripts sign for the app."""
    environment = {"AUTH_KEY": APP_ID, "AUTH_SECRET": SECRET}
    async with PhpFpm(tmp_path / "fpm", environment=environment) as fpm:
        yield fpm


def _script(name: str = "behaving.php") -> str:
    return str(WORKERS / name)


async def test_an_auth_service(tmp_path: Path) -> None:
    """It is asked whether it serves, where the settings or the flag say; the worker may be away."""
    upstream = {"POGO_AUTH_UPSTREAM": f"http://{HOST}:{free_port()}"}
    async with Pogo(tmp_path, "authsvc", *ANY_PORT, env={**ENVIRONMENT, **upstream}) as authsvc:
        port = (await authsvc.logged("ready"))["grpc_port"]
        by_flag = await found(Flags(authsvc=f"{HOST}:{port}"))
        by_setting = await found(auth_service=f"{HOST}:{port}")

    assert [OK, OK] == [each["auth service"].result for each in (by_flag, by_setting)]


async def test_no_worker() -> None:
    """Where none is named, there is nothing to ask."""
    assert SKIPPED == (await found())["php worker"].result


async def test_a_worker_that_signs_for_everybody(fpm: PhpFpm) -> None:
    """The signature is right, and nobody was asked who may have it."""
    worker = (await found(auth_upstream=fpm.upstream, auth_script=_script()))["php worker"]

    assert (WARNING, True) == (worker.result, "no session" in worker.text)


async def test_a_worker_with_another_secret(fpm: PhpFpm) -> None:
    """What it signs, edges would refuse."""
    worker = (await found(auth_upstream=fpm.upstream, auth_script=_script(), apps=OTHER_SECRET))[
        "php worker"
    ]

    assert (WRONG, True) == (worker.result, "same key and secret" in worker.advice)


@pytest.mark.parametrize("script", ["/no/such.php", "/etc/hostname"])
async def test_a_script_that_cannot_be_run(fpm: PhpFpm, script: str) -> None:
    """Php-fpm answers, and has no such file, or may not run it."""
    worker = (await found(auth_upstream=fpm.upstream, auth_script=script))["php worker"]

    assert (WRONG, True) == (worker.result, "cannot run auth_script" in worker.text)


async def test_php_fpm_is_down(fpm: PhpFpm) -> None:
    """It is said where it was looked for."""
    await fpm.stop()

    worker = (await found(auth_upstream=fpm.upstream, auth_script=_script()))["php worker"]

    assert (WRONG, True) == (worker.result, str(fpm.socket) in worker.text)


async def test_a_worker_that_does_not_answer() -> None:
    """Nothing hangs: after the time of a check, that is what is found."""
    async with ScriptedServer(lambda *_: asyncio.Event().wait()) as silent:
        upstream = f"fastcgi://{HOST}:{silent.port}"
        worker = (await found(patience=1, auth_upstream=upstream, auth_script="/x.php"))[
            "php worker"
        ]

    assert (WRONG, True) == (worker.result, "within 1 s" in worker.text)


@asynccontextmanager
async def _application(status: int) -> AsyncIterator[str]:
    """Run an application that answers everybody with a status; yields where it is."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "result"), [(403, OK), (302, OK), (419, OK), (404, WRONG), (500, WRONG)]
)
async def test_answers_of_an_application(status: int, result: object) -> None:
    """Whoever has no session is refused, in one of many ways; anything else is a fault."""
    async with _application(status) as upstream:
        worker = (await found(auth_upstream=upstream))["php worker"]

    assert (result, True) == (worker.result, str(status) in worker.text)
