"""The package as its users meet it: installed by Composer, and as its README says."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from pogo.bus.nats import NatsBus
from pogo.settings import App
from tests.broker.helpers import listen, until
from tests.php.conftest import StartBroker
from tests.php.process import environment, run_php

PACKAGE = Path(__file__).parents[2] / "php"
SHOP = App(id="shop", secret=SecretStr("a-secret-that-is-long-enough"))
EXAMPLES = re.findall(r"```php\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
_PRELUDE = """\
require '{autoload}';
$key = getenv('POGO_APP_KEY');
$secret = getenv('POGO_APP_SECRET');
$_POST = ['socket_id' => '1.2', 'channel_name' => 'private-orders'];
"""


def test_composer_installs_it(tmp_path: Path) -> None:
    """Composer installs it without anything else, and loads the functions and the classes."""
    manifest = {
        "repositories": [{"type": "path", "url": str(PACKAGE)}, {"packagist.org": False}],
        "require": {"pogo/websocket": "@dev"},
    }
    (tmp_path / "composer.json").write_text(json.dumps(manifest))
    composer = ["composer", "--no-interaction", "--no-plugins", "--no-cache"]
    subprocess.run(
        [*composer, "validate", "--strict", PACKAGE / "composer.json"],
        check=True,
        capture_output=True,
    )
    subprocess.run([*composer, "install"], cwd=tmp_path, check=True, capture_output=True)
    installed = [path.name for path in (tmp_path / "vendor").iterdir()]
    code = """
        require 'vendor/autoload.php';
        echo function_exists('pogo_websocket_publish');
        echo class_exists(Pogo\\WebSocket\\Client::class);
    """
    output = subprocess.run(
        ["php", "-r", code], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout

    assert {"autoload.php", "composer", "pogo"} == set(installed)
    assert "11" == output


def test_without_curl() -> None:
    """The functions throw nothing where PHP has no curl either; the log says what to install."""
    # Without php.ini PHP has only what is built in, and Debian's has no curl there.
    code = """
        require $argv[1];
        echo json_encode(extension_loaded('curl')), pogo_websocket_publish('shop', 'c', 'e', '1');
    """
    done = subprocess.run(
        ["php", "-n", "-r", code, str(PACKAGE / "autoload.php")],
        env={"PATH": os.environ["PATH"], "POGO_APP_ID": "shop", "POGO_APP_SECRET": "hidden-secret"},
        check=True,
        capture_output=True,
        text=True,
    )

    assert "false6" == done.stdout
    assert "pogo: not published: PHP's extension curl is missing: install it" in done.stderr
    assert "hidden-secret" not in done.stderr


@pytest.mark.parametrize("example", EXAMPLES)
async def test_examples_of_the_readme(
    example: str, start_broker: StartBroker, bus: NatsBus
) -> None:
    """They run, say nothing that is wrong, and what they publish arrives."""
    heard = listen(bus, "news", SHOP)
    await bus.flush()
    async with start_broker(apps=(SHOP,)) as broker:
        address = f"127.0.0.1:{broker.server.grpc_port}"
        prelude = _PRELUDE.format(autoload=PACKAGE / "autoload.php")
        code = prelude + example.replace("broker:50051", address)
        output, log = await run_php(["-r", code], environment(SHOP, BROKER=address))

        assert "" == log
        if "ChannelSigner" in example:
            assert {"auth"} == set(json.loads(output))
        else:
            await until(lambda: len(heard) == len(re.findall(r"\bnews\b", example)))
