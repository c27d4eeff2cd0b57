import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.process import Pogo

SECRET = "insecure-development-secret"
APP = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": SECRET}
PRODUCTION = {"POGO_ENV": "production"}


async def test_the_first_log_line_is_about_them(tmp_path: Path) -> None:
    """A service that runs on secrets of development says so before anything else."""
    flags = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
    async with Pogo(tmp_path, "serve", *flags, env=APP) as pogo:
        await pogo.logged("ready")
        first = json.loads(pogo.err[0])

    assert "warning" == first["level"]
    event = "secrets of development, which everybody knows: apps[0].secret"
    assert event == first["event"]


@pytest.mark.parametrize("command", ["serve", "edge", "broker", "authsvc"])
def test_no_service_runs_on_them_in_production(pogo: Run, command: str) -> None:
    """It ends with exit code 2, and quotes no secret."""
    settings = {"POGO_BUS": "memory" if command == "serve" else "nats", **APP, **PRODUCTION}
    code, _, err = pogo(command, env=settings)

    assert 2 == code
    assert "POGO_APP_SECRET: is a secret of development" in err
    assert SECRET not in err


def test_no_demo_in_production(pogo: Run) -> None:
    """`pogo serve` without an app would let anyone publish, by its demo page."""
    code, _, err = pogo("serve", env=PRODUCTION)

    assert 2 == code
    assert "no app is configured" in err
