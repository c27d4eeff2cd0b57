"""The set-up of Laravel Echo that `php artisan pogo:ws-install` writes connects as it is."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.cluster import Service
from tests.e2e.driver import FOLDER

SNIPPET = (Path(__file__).parents[2] / "php/resources/echo.js").read_text(encoding="utf-8")
# What a page has around it, and how the test hears that it may publish.
BEFORE = 'globalThis.window = globalThis; window.location = { hostname: "127.0.0.1" };'
AFTER = """
window.Echo.channel("my-channel")
    .subscribed(() => console.log("ready"))
    .listen(".hello", (data) => console.log(data.from));
"""
PUBLISH = "from pogo.client import Client; Client().publish('my-channel', 'hello', {'from': 'PHP'})"


def test_snippet_connects(demo: Service) -> None:
    """It finds the server by its variables, and without a host on the host of the page."""
    # Laravel Mix puts the values in their places, as Node does here.
    code = SNIPPET.replace("{{env}}", "process.env.MIX")
    variables = {
        "MIX_POGO_APP_KEY": "pogo-app",
        "MIX_POGO_HOST": "",
        "MIX_POGO_PORT": str(demo.port),
        "MIX_POGO_SCHEME": "http",
    }
    with subprocess.Popen(
        ["node", "--input-type=module", "--eval", f"{BEFORE}\n{code}\n{AFTER}"],
        cwd=FOLDER,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    ) as browser:
        try:
            assert browser.stdout is not None
            assert "ready\n" == browser.stdout.readline()
            environment = {**os.environ, **demo.settings}
            subprocess.run([sys.executable, "-c", PUBLISH], env=environment, check=True)
            printed = browser.stdout.readline()
        finally:
            browser.kill()

    assert "PHP\n" == printed
