"""What the stack is configured with is what its programs take."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.deploy.compose import ROOT

LOCKS = ROOT / "deploy" / "python"
_PINNED = re.compile(r"^([A-Za-z0-9.-]+)==([^ \\]+)", re.MULTILINE)


def _pinned(file: str) -> dict[str, str]:
    return dict(_PINNED.findall((LOCKS / file).read_text()))


def _required() -> list[Requirement]:
    """Return what a service needs, by pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["nats"], *extras["redis"]]
    required = [Requirement(line) for line in lines]
    return required + [further for each in required for further in _of_extras(each)]


def _of_extras(requirement: Requirement) -> Iterator[Requirement]:
    """Yield what the extras of a requirement need, such as that of `redis[hiredis]`."""
    for line in importlib.metadata.requires(requirement.name) or ():
        further = Requirement(line)
        if further.marker and "extra" in str(further.marker):
            for extra in requirement.extras:
                if further.marker.evaluate({"extra": extra}):
                    yield further


@pytest.mark.parametrize("requirement", _required(), ids=str)
def test_what_is_required_is_locked(requirement: Requirement) -> None:
    """Images are made of versions that pyproject.toml allows; else `make lock` is due."""
    assert requirement.specifier.contains(_pinned("requirements.txt")[requirement.name.lower()])


def test_the_services_need_the_same() -> None:
    """One lock file does for all of them only as long as that is so."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    assert ["pogo-websocket[nats,redis]"] == extras["edge"]
    assert extras["edge"] == extras["broker"] == extras["authsvc"]


@pytest.mark.parametrize("file", ["requirements.txt", "build-requirements.txt"])
def test_everything_is_known_by_its_hash(file: str) -> None:
    """Nothing else can be installed under a name."""
    packages = re.split(r"\n(?=[A-Za-z])", (LOCKS / file).read_text())[1:]

    assert len(_pinned(file)) == len(packages)
    assert [] == [package for package in packages if "--hash=sha256:" not in package]


def test_the_builder_is_locked() -> None:
    """The wheel is built by a version that pyproject.toml allows."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    (requirement,) = map(Requirement, build["requires"])

    assert requirement.specifier.contains(_pinned("build-requirements.txt")[requirement.name])


@pytest.mark.parametrize("site", [":80", "desk.example"])
def test_caddy_takes_the_gateway(site: str, tmp_path: Path) -> None:
    """The configuration is valid, and in Caddy's own format; a domain gives it https."""
    caddy = shutil.which("caddy", path=str(Path(sys.executable).parent)) or "caddy"
    file = ROOT / "deploy" / "gateway" / "Caddyfile"
    environment = {"SITE": site, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    adapted = subprocess.run(
        [caddy, "adapt", "--validate", "--config", file],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    formatted = subprocess.run([caddy, "fmt", file], check=True, capture_output=True, text=True)

    assert (":443" in adapted.stdout) is (site == "desk.example")
    assert file.read_text() == formatted.stdout


@pytest.mark.parametrize("path", ["deploy/php/entrypoint", "scripts/make-env"])
def test_scripts_can_be_run(path: str) -> None:
    """They are executable where they are copied from."""
    assert (ROOT / path).stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({"POGO_ENV": "production"}, 2),
        ({"POGO_ENV": "production", "APP_KEY": "base64:aW5zZWN1cmUtZGV2ZWxvcG1lbnQ="}, 2),
    ],
)
def test_php_refuses_the_key_of_development(environment: dict[str, str], outcome: int) -> None:
    """Whoever knows the key can forge sessions, so the application does not start with it."""
    script = ROOT / "deploy" / "php" / "entrypoint"
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)

    assert outcome == done.returncode
    assert "APP_KEY" in done.stderr


def test_the_key_of_development_is_that() -> None:
    """The one of compose.yaml begins as the application knows it."""
    assert "APP_KEY:-base64:aW5zZWN1cmUt" in (ROOT / "compose.yaml").read_text()
