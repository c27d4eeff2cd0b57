"""What docs/webhooks.md shows verifies real webhooks, and refuses forged ones."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pogo.pusher.webhooks import sign_webhook, webhook_body
from pogo.settings import load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
KEY, SECRET = "shop", "0123456789abcdef"
EVENT = '{"name":"channel_occupied","channel":"news","data":"é","id":"1"}'.encode()


def _snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


_PHP = "echo json_encode(events_of($argv[1], $argv[2], file_get_contents($argv[3])));"
_PYTHON = """
import pathlib, sys
print(json.dumps(events_of(*sys.argv[1:3], pathlib.Path(sys.argv[3]).read_bytes())))
"""
_NODE = """
const [key, signature, file] = process.argv.slice(1);
console.log(JSON.stringify(eventsOf(key, signature, require("fs").readFileSync(file))));
"""

VERIFIERS = {
    "php": ["php", "-d", "display_errors=stderr", "-r", _snippets("php")[0] + _PHP, "--"],
    "python": [sys.executable, "-c", _snippets("python")[0] + _PYTHON],
    "node": ["node", "-e", _snippets("js")[0] + _NODE],
}
"""Each takes a key, a signature and a file with the body, and prints the events."""


def _run(
    language: str, body: bytes, directory: Path, *, key: str = KEY, signature: str = ""
) -> subprocess.CompletedProcess[bytes]:
    file = directory / "body"
    file.write_bytes(body)
    given = [key, signature or sign_webhook(SECRET.encode(), body), str(file)]
    return subprocess.run(
        [*VERIFIERS[language], *given],
        env={"PUSHER_KEY": KEY, "PUSHER_SECRET": SECRET, "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        timeout=20,
        check=False,
    )


def _now() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize("language", VERIFIERS)
def test_genuine_webhooks_are_taken(language: str, tmp_path: Path) -> None:
    """What Pogo signs passes, and its events come out."""
    result = _run(language, webhook_body(_now(), [EVENT]), tmp_path)

    assert (0, b"") == (result.returncode, result.stderr)
    assert [json.loads(EVENT)] == json.loads(result.stdout)


@pytest.mark.parametrize("language", VERIFIERS)
def test_forged_webhooks_are_refused(language: str, tmp_path: Path) -> None:
    """Another secret, another key, a changed or cut signature and an old body do not pass."""
    body = webhook_body(_now(), [EVENT])
    good = sign_webhook(SECRET.encode(), body)
    old = webhook_body(_now() - 301_000, [EVENT])
    results = [
        _run(language, body, tmp_path, signature=sign_webhook(b"other", body)),
        _run(language, body, tmp_path, signature=good[:-1] + ("0" if good[-1] != "0" else "1")),
        _run(language, body, tmp_path, signature=good[:-2]),
        _run(language, body + b" ", tmp_path, signature=good),
        _run(language, body, tmp_path, key="other"),
        _run(language, old, tmp_path),
    ]

    assert [b""] * len(results) == [result.stdout for result in results]
    assert all(result.returncode for result in results)


@pytest.mark.parametrize("number", range(2))
def test_configuration_is_valid(number: int, tmp_path: Path) -> None:
    """Both examples are settings that load."""
    file = tmp_path / "pogo.toml"
    file.write_text(_snippets("toml")[number], encoding="utf-8")
    settings = load_settings(file, {})

    webhooks = [webhook for app in settings.apps for webhook in app.webhooks]
    assert settings.webhook_url or ["shop", "support"] == [each.name for each in webhooks]


def test_events_are_json() -> None:
    """Each example of an event is one JSON object a line, with the fields that all have."""
    (examples,) = _snippets("json")
    for line in examples.splitlines():
        assert {"name", "channel", "id"} <= json.loads(line).keys()
