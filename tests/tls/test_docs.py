"""What docs/tls.md has its readers type."""

import re
import subprocess
from pathlib import Path

import pytest

from pogo.settings import load_settings
from tests.cli.process import Pogo, run_pogo

PAGE = Path(__file__).parents[2] / "docs" / "tls.md"
ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> None:
    """Make the authority, the certificate and the settings."""
    command = ["bash", "-e", "-c", _blocks("sh")[0]]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "pogo.toml").write_text(_blocks("toml")[0])


@pytest.mark.usefixtures("made")
async def test_the_first_steps(tmp_path: Path) -> None:
    """With what is made, the node starts, and both commands believe it."""
    _, commands = _blocks("sh")
    listen, publish = commands.splitlines()

    assert listen == "pogo listen my-channel --ca ca.pem"

    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        await serve.logged("ready")
        async with Pogo(tmp_path, *listen.split()[1:]) as listening:
            await listening.told("listening to my-channel")

            assert publish == 'pogo publish my-channel hello \'{"from": "me"}\' --ca ca.pem'

            words = ["my-channel", "hello", '{"from": "me"}', "--ca", "ca.pem"]

            assert (0, "ok", "") == await run_pogo(tmp_path, "publish", *words)

            await listening.printed(1)


@pytest.mark.parametrize("sample", _blocks("toml"))
def test_samples_are_settings(sample: str, tmp_path: Path) -> None:
    """Each sample is understood, with the values that it names."""
    config = tmp_path / "pogo.toml"
    config.write_text(sample)

    settings = load_settings(config, {})

    assert settings.nats_tls_cert or settings.redis_tls_cert or settings.tls_cert
