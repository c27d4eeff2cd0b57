"""What docs/php.md shows is what there is."""

import re

from tests.laravel.application import ROOT

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
