"""What docs/php.md shows is what there is."""

import json
import re
import shutil
from pathlib import Path

from tests.cli.process import run_typed
from tests.documents import documented, exchange
from tests.laravel.application import FOLDER, ROOT

PAGE = (ROOT / "docs/php.md").read_text(encoding="utf-8")


def _lines(text: str) -> list[str]:
    """Return the settings of a connection, without comments and indentation."""
    return re.findall(r"^\s*('\w+' => .*?,|\],)(?:\s*//.*)?$", text, re.MULTILINE)


def test_connection_is_the_packages() -> None:
    """The page shows the connection that the package has."""
    shown = re.search(r"^'pogo' => \[\n(.*?)^\],$", PAGE, re.DOTALL | re.MULTILINE)
    connection = (ROOT / "php/resources/connection.php").read_text()

    assert shown is not None
    assert _lines(connection) == _lines(shown[1])
    assert len(_lines(connection)) > 10


def test_settings_of_the_server_exist() -> None:
    """Every variable for the server that the page names is one of its settings."""
    settings = (ROOT / "docs/settings.md").read_text()
    named = {name.lower() for name in re.findall(r"POGO_(AUTH_\w+)=", PAGE)}

    assert {"auth_upstream", "auth_script"} == named
    assert all(f"| `{name}` |" in settings for name in named)


async def test_the_first_steps(tmp_path: Path) -> None:
    """Composer installs the package, which prepares the application; npm has the rest."""
    shop = tmp_path / "shop"
    shutil.copytree(FOLDER, shop)
    (shop / "bootstrap" / "cache").mkdir(parents=True)
    # Laravel itself is there already, and so nothing is asked of Packagist.
    manifest = {"name": "pogo/shop", "autoload": {"psr-4": {"App\\": "app/"}}}
    repositories = {"packagist.org": False}
    (shop / "composer.json").write_text(json.dumps({**manifest, "repositories": repositories}))
    (shop / ".env").write_text("APP_NAME=Shop\n")
    text = exchange(
        documented("docs/php.md", "From a new Laravel application to its first event", "sh"),
        {"/path/to/pogo-websocket/php": str(ROOT / "php")},
    )
    env = {"COMPOSER_ALLOW_SUPERUSER": "1", "COMPOSER_NO_INTERACTION": "1"}
    done = await run_typed(shop, text, env=env)

    assert 0 == done[0], done
    assert "POGO_APP_ID" in (shop / ".env").read_text()
    assert (shop / "vendor" / "pogo" / "websocket" / "composer.json").exists()
    for package in ("laravel-echo", "pusher-js"):
        assert (shop / "node_modules" / package / "package.json").exists()
