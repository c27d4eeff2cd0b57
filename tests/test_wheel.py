"""The wheel, installed where nothing of the checkout is near."""

import http.client
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.e2e.cluster import Service

ROOT = Path(__file__).parents[1]

# Installing the dependencies may mean downloading them.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(name="pogo", scope="module")
def _pogo(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, plainly, in an environment of its own, and return its `pogo` command."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", wheel], check=True)
    return folder / "bin" / "pogo"


def _get(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"Connection": "close"})
    return connection.getresponse()


def test_wheel_holds_only_pogo(wheel: Path) -> None:
    """The wheel has one top-level name, every package's types, and the demo with its licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {"pogo"} == {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert {f"pogo/{name}/py.typed" for name in ("bus", "cli", "edge", "rpc/v1")} <= names
    assert {f"pogo/cli/demo/static/{name}" for name in ("index.html", "pusher.min.js")} <= names
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert {"LICENSE", "pusher-js.LICENCE"} == licences


def test_installed_command_tells_its_version(pogo: Path) -> None:
    """`pogo version` runs, and tells the version of the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    output = subprocess.check_output([pogo, "version"], cwd=pogo.parent, text=True)

    assert f"pogo {project['version']}\n" == output


def test_installed_server_serves(pogo: Path, tmp_path: Path) -> None:
    """`pogo serve` starts without any extra, is up, and shows the demo page."""
    settings = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": ""}
    service = Service("serve", settings, tmp_path / "serve.log", program=[str(pogo)])
    try:
        assert 200 == _get(service.port, "/up").status
        assert b"pusher.min.js" in _get(service.port, "/").read()
    finally:
        service.stop()
    assert [] == service.errors()
