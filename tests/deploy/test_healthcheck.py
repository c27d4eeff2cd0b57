"""What the engine asks of a container of Pogo is answered as the service is set up."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.cli.process import Pogo
from tests.deploy.compose import ROOT
from tests.servers import free_port
from tests.tls.authority import Authority

ANY_PORT = {"POGO_GRPC_PORT": "0", "POGO_METRICS_PORT": "0"}


async def _check(directory: Path, **environment: str) -> tuple[int | None, str]:
    """Run the check as a container does, and return its exit code and what it says."""
    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-IS", str(ROOT / "deploy" / "python" / "healthcheck.py")),
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await check.communicate()
    return check.returncode, out.decode()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("source", ["environment", "file"])
async def test_a_service_that_is_up(source: str, tmp_path: Path, *, tls: bool) -> None:
    """Port and TLS are those of the settings, wherever they come from."""
    settings: dict[str, int | str] = {"port": free_port()}
    if tls:
        issued = Authority(tmp_path).issue("node")
        settings |= {"tls_cert": str(issued.certificate), "tls_key": str(issued.key)}
    environment = {f"POGO_{name.upper()}": str(value) for name, value in settings.items()}
    if source == "file":
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (tmp_path / "pogo.toml").write_text("\n".join(lines))
        environment = {}
    async with Pogo(tmp_path, "serve", env={**ANY_PORT, **environment}) as serve:
        await serve.logged("ready")

        assert (0, "HTTP/1.1 200 OK\n") == await _check(tmp_path, **environment)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.2"])  # noqa: S104 (what images have)
async def test_where_it_listens(host: str, tmp_path: Path) -> None:
    """A service with one address is asked by that; one that listens everywhere, by loopback."""
    environment = {"POGO_PORT": str(free_port()), "POGO_HOST": host}
    async with Pogo(tmp_path, "serve", env={**ANY_PORT, **environment}) as serve:
        await serve.logged("ready")

        assert (0, "HTTP/1.1 200 OK\n") == await _check(tmp_path, **environment)


async def test_a_service_that_is_not(tmp_path: Path) -> None:
    """Nobody listens: the reason is what `docker inspect` shows."""
    code, said = await _check(tmp_path, POGO_PORT=str(free_port()))

    assert 1 == code
    assert "Connection refused" in said
