import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.process import run_pogo


async def test_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    """`pogo version` prints one line."""
    assert (0, f"pogo {version('pogo-websocket')}", "") == await run_pogo(tmp_path, "version")


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        ((), ["serve", "edge", "broker", "publish", "listen", "config", "version"]),
        (("serve",), ["--config", "--host", "--port", "--grpc-port", "--metrics-port", "Example"]),
        (("edge",), ["--config", "--host", "--port", "--metrics-port", "Example"]),
        (("broker",), ["--config", "--host", "--port", "--grpc-port", "--metrics-port", "Example"]),
        (("publish",), ["CHANNEL", "EVENT", "DATA", "--socket-id", "Example"]),
        (("listen",), ["CHANNEL", "--url", "--key", "--json", "Example"]),
        (("config", "check"), ["--config", "Example"]),
    ],
)
def test_help_names_what_there_is(pogo: Run, args: tuple[str, ...], texts: list[str]) -> None:
    """Each command explains its flags and shows an example."""
    code, out, err = pogo(*args, "--help")

    assert (0, "") == (code, err)
    assert [] == [text for text in texts if text not in out]


def test_a_wrong_flag_is_a_usage_error(pogo: Run) -> None:
    """Exit code 2, and the message names the limit."""
    code, out, err = pogo("serve", "--port", "65536")

    assert (2, "") == (code, out)
    assert "65535" in err


async def test_quick_commands_import_no_service(tmp_path: Path) -> None:
    """What makes `pogo version` slow would be the servers and their libraries."""
    script = (
        "import sys, pogo.cli; sys.argv[1:] = ['version']\n"
        "try: pogo.cli.main()\n"
        "finally: print(*sorted({'aiohttp', 'grpc', 'uvloop', 'websockets', 'pogo.settings'}"
        " & sys.modules.keys()), file=sys.stderr)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()

    assert b"\n" == err
