"""What docs/operations.md gives to systemd and to Kubernetes is what they and Pogo take."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pogo.settings import Settings
from tests.documents import documented, exchange

UNIT = documented("docs/operations.md", "Starting", "ini")
DEPLOYMENT = documented("docs/operations.md", "Starting", "yaml")


def _verify(folder: Path, unit: str) -> str:
    """Have systemd read the unit, and return what it says."""
    pogo = str(Path(sys.executable).parent / "pogo")
    file = folder / "pogo@edge.service"
    file.write_text(exchange(unit, {"/opt/pogo/bin/pogo": pogo}))
    command = ["systemd-analyze", "verify", "--man=no", str(file)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return result.stdout + result.stderr


def test_unit(tmp_path: Path) -> None:
    """Systemd knows all that the unit says."""
    assert "" == _verify(tmp_path, UNIT)


def test_unit_with_a_mistake(tmp_path: Path) -> None:
    """It would say so if it did not."""
    assert "Unknown key" in _verify(tmp_path, UNIT.replace("PrivateTmp=", "PrivateTemp="))


def test_unit_waits_for_the_draining() -> None:
    """Systemd kills nobody who is still closing clients."""
    assert _seconds(UNIT.partition("TimeoutStopSec=")[2].split()[0]) > _default("shutdown_timeout")


def test_deployment() -> None:
    """Variables, ports and times are those of the settings."""
    pod = yaml.safe_load(DEPLOYMENT)["spec"]["template"]["spec"]
    [edge] = pod["containers"]
    names = {each["name"].removeprefix("POGO_").lower() for each in edge["env"]}
    ports = {each["name"]: each["containerPort"] for each in edge["ports"]}

    # The secret and the id of the one app are no settings of their own.
    assert {"app_id", "app_secret"} == names - Settings.model_fields.keys()
    assert {"http": _default("port"), "metrics": _default("metrics_port")} == ports
    assert "http" == edge["readinessProbe"]["httpGet"]["port"]
    assert "/up" == edge["readinessProbe"]["httpGet"]["path"]
    assert "http" == edge["livenessProbe"]["tcpSocket"]["port"]
    assert pod["terminationGracePeriodSeconds"] >= _default("shutdown_timeout") + 10


def _default(name: str) -> Any:
    return Settings.model_fields[name].default


def _seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])
