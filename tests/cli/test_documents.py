"""What README.md and the pages in docs/ have their readers type works, but for ports and paths."""

import shlex
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.cli.process import Pogo, Typed, run_typed
from tests.documents import ROOT, documented, exchange
from tests.php_fpm import PhpFpm
from tests.servers import NatsServer, free_port

ANY_PORT = {"POGO_PORT": "0", "POGO_GRPC_PORT": "0", "POGO_METRICS_PORT": "0"}
APP = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": "a-secret-of-some-length"}
SHOW_FORM = "<?php http_response_code(403); echo json_encode($_POST);"


async def _listener_hears(directory: Path, listen: str, publish: str, **env: str) -> str:
    """Type what listens, then what publishes, and return what is heard, without the time."""
    async with Typed(directory, listen, env=env) as listener:
        await listener.told("listening to my-channel")
        assert (0, "ok", "") == await run_typed(directory, publish, env=env)
        (line,) = await listener.printed(1)
    return line.partition("  ")[2]


async def test_readme_try_it(tmp_path: Path) -> None:
    """`make run` serves until Ctrl-C; other terminals find it, and the app, by themselves."""
    listen, publish = documented("README.md", "Try it", "sh", 1).splitlines()
    run = exchange(
        documented("README.md", "Try it", "sh"), {"make": f"make -C {shlex.quote(str(ROOT))}"}
    )
    async with Typed(tmp_path, run, env=ANY_PORT) as serve:
        serve.patience = 120.0  # it may have to install
        await serve.logged("ready")

        assert 'my-channel  hello  {"from": "me"}' == await _listener_hears(
            tmp_path, listen, publish
        )

        serve.interrupt()
        await serve.exit_code()


async def test_readme_edges_and_brokers_apart(tmp_path: Path) -> None:
    """The settings are written as shown; who is on one edge hears what a broker is told."""
    # What is in force here has been installed already, with more.
    install = ".venv/bin/pip install --editable '.[edge,broker]'\n"
    write = exchange(documented("README.md", "Edges and brokers apart", "sh"), {install: ""})
    edge, edge_2, broker, listen, publish = documented(
        "README.md", "Edges and brokers apart", "sh", 1
    ).splitlines()
    port, port_2, api, grpc = (str(free_port()) for _ in range(4))
    env = {"POGO_PORT": port, "POGO_METRICS_PORT": "0", "POGO_GRPC_PORT": grpc}
    edge_2 = exchange(edge_2, {"8081": port_2, "9465": "0"})
    broker = exchange(broker, {"8082": api, "9466": "0"})
    listen = exchange(listen, {"8081": port_2})
    async with NatsServer(tmp_path / "nats") as nats, AsyncExitStack() as services:
        write = exchange(write, {"nats://127.0.0.1:4222": nats.url})
        code, out, err = await run_typed(tmp_path, write)
        assert (0, "") == (code, err)
        assert "nats_url" in out
        for command in (edge, edge_2, broker):
            service = await services.enter_async_context(Typed(tmp_path, command, env=env))
            await service.logged("ready")
        heard = await _listener_hears(tmp_path, listen, publish, **env)

    assert 'my-channel  hello  {"from": "the shop"}' == heard


async def test_serve_for_php(tmp_path: Path) -> None:
    """With the app that Laravel has, the server starts."""
    text = exchange(
        documented("docs/php.md", "From a new Laravel application to its first event", "sh", 1),
        {"=…": "=0123456789abcdef", "pogo serve": "exec pogo serve"},
    )
    async with Typed(tmp_path, text, env=ANY_PORT) as serve:
        await serve.logged("ready")

        assert 0 == await serve.stop()


async def test_sign_a_request_by_hand(tmp_path: Path) -> None:
    """What is published with openssl and curl alone, is heard."""
    text = documented("docs/http-api.md", "From an SDK", "sh")
    async with _serving(tmp_path) as url:
        env = {"KEY": "shop", "APP_ID": "shop", "SECRET": APP["POGO_APP_SECRET"], "URL": url}
        async with Pogo(tmp_path, "listen", "news", "--url", url, env=APP) as listener:
            await listener.told("listening to news")
            code, out, _ = await run_typed(tmp_path, text, env=env)
            (line,) = await listener.printed(1)

    assert (0, "{}") == (code, out)
    assert line.endswith('news  headline  {"title":"Hello"}')


async def test_an_auth_service_of_its_own(tmp_path: Path) -> None:
    """It asks the script of a php-fpm, and what that says is what curl shows."""
    script = tmp_path / "index.php"
    script.write_text(SHOW_FORM)
    port = str(free_port())
    async with PhpFpm(tmp_path / "fpm", children=1) as fpm:
        run = exchange(
            documented("docs/authsvc.md", "Run it", "sh"),
            {
                "=…": "=0123456789abcdef",
                "fastcgi:///run/php/php8.2-fpm.sock": fpm.upstream,
                "/var/www/shop/public/index.php": str(script),
                "pogo authsvc": "exec pogo authsvc",
                "8082": port,
                "50052": "0",
                "9467": "0",
            },
        )
        ask = exchange(documented("docs/authsvc.md", "Run it", "sh", 1), {"8082": port})
        async with Typed(tmp_path, run) as service:
            await service.logged("ready")
            code, out, _ = await run_typed(tmp_path, ask)

    assert 0 == code
    assert out.startswith("HTTP/1.1 403")


async def test_trusted_proxies(tmp_path: Path) -> None:
    """The variable is one, and its value is taken."""
    text = documented("docs/authsvc.md", "Behind a gateway", "sh") + "pogo config check"
    code, out, _ = await run_typed(tmp_path, text, env=APP)

    assert 0 == code
    assert "127.0.0.1" in next(line for line in out.splitlines() if "trusted_proxies" in line)


async def test_the_doctor_without_anything(tmp_path: Path) -> None:
    """Where nothing is configured and nothing runs, it has looked, and says so."""
    text = documented("docs/troubleshooting.md", "Troubleshooting", "sh")
    code, out, err = await run_typed(tmp_path, text)

    assert (0, "") == (code, err)
    assert "ok       settings" in out
    assert "skipped  edge" in out


async def test_rules_are_tested_as_shown() -> None:
    """Promtool finds nothing wrong with the rules and their tests."""
    code, out, _ = await run_typed(
        ROOT, documented("docs/monitoring.md", "With a Prometheus of yours", "sh")
    )

    assert 0 == code
    assert "SUCCESS" in out


@asynccontextmanager
async def _serving(directory: Path) -> AsyncIterator[str]:
    """Have a server, and yield its URL."""
    async with Pogo(directory, "serve", env={**APP, **ANY_PORT}) as serve:
        yield (await serve.logged("ready"))["url"]
