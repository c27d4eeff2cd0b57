"""What docs/tls.md has its readers type."""

from pathlib import Path

import pytest

from pogo.settings import load_settings
from tests.cli.process import Pogo, Typed, run_typed
from tests.documents import blocks, documented

ANY_PORT = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
SAMPLES = [text for block, text in blocks().items() if block[::2] == ("docs/tls.md", "toml")]


async def test_the_first_steps(tmp_path: Path) -> None:
    """With what is made, the node starts, and both commands believe it."""
    made = await run_typed(tmp_path, documented("docs/tls.md", "Try it", "sh"))
    assert 0 == made[0], made
    (tmp_path / "pogo.toml").write_text(documented("docs/tls.md", "Try it", "toml"))
    listen, publish = documented("docs/tls.md", "Try it", "sh", 1).splitlines()
    async with Pogo(tmp_path, "serve", *ANY_PORT) as serve:
        await serve.logged("ready")
        async with Typed(tmp_path, listen) as listening:
            await listening.told("listening to my-channel")

            assert (0, "ok", "") == await run_typed(tmp_path, publish)

            await listening.printed(1)


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_are_settings(sample: str, tmp_path: Path) -> None:
    """Each sample is understood, with the values that it names."""
    config = tmp_path / "pogo.toml"
    config.write_text(sample)

    settings = load_settings(config, {})

    assert settings.nats_tls_cert or settings.redis_tls_cert or settings.tls_cert
