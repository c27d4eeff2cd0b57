"""What the documents say of each other, and of settings and servers, is so."""

import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from pogo.settings import SettingsError, load_settings
from tests.nginx import Nginx
from tests.servers import HOST, free_port

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "php").glob("*.md")])
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _text(page: Path) -> str:
    """Return a page without its code, where brackets mean other things."""
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Name the headings of a page as GitHub does: in lower case, without punctuation."""
    headings = (heading.lower() for heading in _HEADING.findall(_text(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def _links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for link in _LINK.findall(_text(page)):
            if "://" not in link:
                yield str(page.relative_to(ROOT)), link.replace("\\", "")


@pytest.mark.parametrize(("page", "link"), sorted(set(_links())))
def test_links(page: str, link: str) -> None:
    """Each link leads to a file of the tree, and to a heading where it names one."""
    path, _, anchor = link.partition("#")
    target = ROOT / page if not path else (ROOT / page).parent / path

    assert target.exists()
    assert not anchor or anchor in _anchors(target)


def test_there_are_links() -> None:
    """They are found: within a page, to another one, and to one of its headings."""
    links = set(_links())

    assert ("docs/php.md", "authsvc.md") in links
    assert ("docs/php.md", "#who-signs") in links
    assert ("README.md", "docs/authsvc.md#behind-a-gateway") in links


def _variables() -> set[str]:
    pages = (page.read_text(encoding="utf-8") for page in PAGES)
    return {name for text in pages for name in re.findall(r"\bPOGO_[A-Z0-9_]+\b", text)}


@pytest.mark.parametrize("variable", sorted(_variables()))
def test_variables_are_known(variable: str) -> None:
    """A server that is given any variable which a page names does not call it unknown."""
    problems = ""
    try:
        load_settings(None, {variable: "?"})
    except SettingsError as error:
        problems = str(error)

    assert "unknown setting" not in problems


async def test_gateway_is_what_nginx_reads(tmp_path: Path) -> None:
    """An nginx starts with the sample, and asks the edges that it names."""
    (sample,) = re.findall(
        r"^```nginx\n(.*?)^```", (ROOT / "docs/authsvc.md").read_text(), re.DOTALL | re.MULTILINE
    )
    port, nobody = free_port(), free_port()
    sample = re.sub(r"^ *ssl_certificate.*\n", "", sample, flags=re.MULTILINE)
    for shown, tried in (
        ("listen 443 ssl;", f"listen {HOST}:{port};"),
        ("include fastcgi_params;", "include /etc/nginx/fastcgi_params;"),
        ("127.0.0.1:8080;", f"{HOST}:{nobody};"),
    ):
        assert shown in sample
        sample = sample.replace(shown, tried)
    async with (
        Nginx(tmp_path, "", before=sample),
        aiohttp.ClientSession() as session,
        session.get(f"http://{HOST}:{port}/app/key") as response,
    ):
        assert 502 == response.status

    assert f"http://{HOST}:{nobody}/app/key" in (tmp_path / "server.log").read_text()
