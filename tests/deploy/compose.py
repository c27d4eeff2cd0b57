"""What Docker Compose makes of compose.yaml. It needs no engine for that.

Nothing of the developer's own .env file or environment leaks in.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / ".make" / "docker-compose"
TIMEOUT = 60.0


class ComposeError(Exception):
    """Docker Compose is not there, or did not do what it was asked to."""


def compose_command(*, env_file: Path | None = None) -> list[str]:
    """Begin a command of Docker Compose for compose.yaml, with that file of variables or none.

    Raises:
        ComposeError: It is missing.
    """
    if not COMPOSE.exists():
        raise ComposeError(f"{COMPOSE} is missing: run `make test`, which gets it")
    return [
        *(str(COMPOSE), "--project-directory", str(ROOT)),
        *("--env-file", str(env_file or os.devnull)),
    ]


def bare_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with these variables and no others that compose.yaml reads."""
    kept = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG")
    return {name: os.environ[name] for name in kept if name in os.environ} | dict(variables)


def compose_config(*, env_file: Path | None = None, **variables: str) -> dict[str, Any]:
    """Read compose.yaml as Compose does, with all that it includes and fills in.

    Raises:
        ComposeError: It is wrong; the message is what Compose says.
    """
    command = [*compose_command(env_file=env_file), "--profile", "*", "config", "--format", "json"]
    done = subprocess.run(
        command,
        env=bare_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise ComposeError(done.stderr)
    config: dict[str, Any] = json.loads(done.stdout)
    return config


def make_env(file: Path) -> Path:
    """Write a file of variables as `make env` does."""
    subprocess.run([ROOT / "scripts" / "make-env", file], check=True, capture_output=True)
    return file
