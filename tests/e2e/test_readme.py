"""The code in README.md does what it says, against `pogo serve` as it is without configuration."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cluster import Service
from tests.e2e.driver import FOLDER

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def _snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


# What a page has around the snippet of pusher-js and of Echo, and how the test hears that it may
# publish.
AROUND = (
    (
        'import Pusher from "pusher-js";',
        'channel.bind("pusher:subscription_succeeded", () => console.log("ready"));',
    ),
    (
        "globalThis.window = globalThis;",
        'window.Echo.channel("my-channel").subscribed(() => console.log("ready"));',
    ),
)


@pytest.mark.parametrize("number", [0, 1])
def test_snippets_work_together(demo: Service, number: int) -> None:
    """What the Python snippet publishes is printed by the snippet of pusher-js, and of Echo."""
    before, after = AROUND[number]
    snippet = _snippets("js")[number].replace("wsPort: 8080", f"wsPort: {demo.port}")
    (publish,) = _snippets("python")
    with subprocess.Popen(
        ["node", "--input-type=module", "--eval", f"{before}\n{snippet}\n{after}"],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        text=True,
    ) as browser:
        try:
            assert browser.stdout is not None
            assert "ready\n" == browser.stdout.readline()
            environment = {**os.environ, **demo.settings}
            subprocess.run([sys.executable, "-c", publish], env=environment, check=True)
            printed = browser.stdout.readline()
        finally:
            browser.kill()

    assert "{ from: 'Python' }\n" == printed
