"""A small Laravel application as its users deploy it, and what its visitors do.

    vendor = install_vendor(tmp_path / "composer")
    shop = Shop(tmp_path / "shop", vendor, environment={"POGO_APP_ID": …})
    async with shop:                    # php -S
        visitor = shop.visitor()
        visitor.log_in("ada")
        visitor.sign("123.456", "private-orders.1")

php-fpm runs the same application: `PhpFpm(directory, environment=shop.environment)`, with
`auth_script` = `shop.script`. The directory holds a copy of the application, with all that it
writes. It runs on whichever Laravel PHP finds in its include path.
"""

import asyncio
import http.client
import http.cookiejar
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import urllib.response
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from tests.servers import HOST, ServerError, ServerProcess

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "app"
MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PATIENCE = 15.0
COMPOSER_TIMEOUT = 60.0
# Who can log in, with which order: the user's password is `NAME-secret`.
USERS = {"ada": 1, "bob": 2}


def php_path() -> str:
    """Name the PHP to run: the machine's, or that of a chroot.

    Raises:
        ServerError: There is none.
    """
    path = os.environ.get("POGO_TEST_PHP") or shutil.which("php")
    if path is None:
        raise ServerError("php is missing: run `make test`, which installs it")
    return path


def install_vendor(folder: Path) -> Path:
    """Have Composer install the package from the tree, and return the folder `vendor`.

    Raises:
        ServerError: There is no Composer, or it failed.
    """
    composer = shutil.which("composer")
    if composer is None:
        raise ServerError("composer is missing: run `make test`, which installs it")
    package = {"type": "path", "url": str(ROOT / "php"), "options": {"symlink": False}}
    manifest = {
        "name": "pogo/shop",
        "require": {"pogo/websocket": "@dev"},
        "autoload": {"psr-4": {"App\\": "app/"}},
        "repositories": [package, {"packagist.org": False}],
    }
    folder.mkdir(parents=True)
    (folder / "composer.json").write_text(json.dumps(manifest))
    (folder / "app").symlink_to(FOLDER / "app")
    environment = {
        **os.environ,
        "COMPOSER_HOME": str(folder / "home"),
        "COMPOSER_ALLOW_SUPERUSER": "1",
        # Else it asks git, in whose tree it may be, for the version.
        "COMPOSER_ROOT_VERSION": "1.0.0",
    }
    command = [composer, "install", "--no-interaction", "--no-progress", "--no-dev"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMPOSER_TIMEOUT,
    )
    if done.returncode:
        raise ServerError(f"composer failed:\n{done.stdout}{done.stderr}")
    return folder / "vendor"


class Shop(ServerProcess):
    """The application on `php -S`. `environment` is what a deployment would have in its .env."""

    name = "php"

    def __init__(
        self, directory: Path, vendor: Path, *, environment: Mapping[str, str] | None = None
    ) -> None:
        shutil.copytree(FOLDER, directory)
        super().__init__(directory)
        self.script = directory / "public" / "index.php"
        self.environment = {
            "APP_KEY": f"base64:{MASTER_KEY}",
            "POGO_ENCRYPTION_MASTER_KEY_BASE64": MASTER_KEY,
            "POGO_TEST_NODE_MODULES": str(ROOT / "tests" / "e2e" / "node_modules"),
            **(environment or {}),
        }
        for name in ("composer.json", "vendor"):
            (directory / name).symlink_to(vendor.parent / name)
        for folder in ("bootstrap/cache", "storage/files", "storage/sessions", "storage/views"):
            (directory / folder).mkdir(parents=True)
        (directory / "storage" / "database.sqlite").touch()
        self.artisan("migrate", "--force")

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://{HOST}:{self.port}"

    def visitor(self, url: str = "") -> "Visitor":
        """Return a visitor who nobody knows yet. `url` is where, if not here."""
        return Visitor(url or self.url)

    def artisan(self, *arguments: str) -> str:
        """Run a command of the application and return what it says.

        Raises:
            ServerError: It failed.
        """
        done = subprocess.run(
            [php_path(), str(self.directory / "artisan"), *arguments],
            env={**_inherited(), **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise ServerError(f"artisan {arguments} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def logged(self) -> str:
        """Return what the application has logged."""
        log = self.directory / "storage" / "laravel.log"
        return log.read_text() if log.exists() else ""

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        command = [php_path(), "-S", f"{HOST}:{port}", str(self.script)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env={**_inherited(), **self.environment}, stdout=log, stderr=log
            )

    async def _answers(self, port: int, process: "subprocess.Popen[bytes]") -> bool:
        del process  # a port that is taken ends it
        return await asyncio.to_thread(self._has_page, port)

    @staticmethod
    def _has_page(port: int) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()


def _inherited() -> dict[str, str]:
    """Return the environment of the tests without what the application would read in it."""
    ours = ("APP_", "BROADCAST_", "POGO_", "WS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application answered."""

    status: int
    body: str
    headers: Mapping[str, str]
    """By their names in lower case."""

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


class Visitor:
    """A browser's session, with its cookies."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies),
            urllib.request.ProxyHandler({}),
            _NoRedirects,
        )

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name, as a browser would send them."""
        return {cookie.name: cookie.value or "" for cookie in self._cookies}

    def get(self, path: str) -> Answer:
        """Open a page."""
        return self._send(path)

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        data: object = None,
        headers: Mapping[str, str] | None = None,
        token: bool = False,
    ) -> Answer:
        """Post a form, or `data` as JSON; with the token against forged requests if wanted."""
        sent = {"Accept": "application/json", **(headers or {})}
        body = urlencode(fields or {}).encode()
        if data is not None:
            body = json.dumps(data).encode()
            sent["Content-Type"] = "application/json"
        if token:
            sent["X-XSRF-TOKEN"] = unquote(self.cookies["XSRF-TOKEN"])
        return self._send(path, body, sent)

    def log_in(self, name: str) -> "Visitor":
        """Log in as one of the users, by the form on the page."""
        self.get("/")
        fields = {"name": name, "password": f"{name}-secret"}
        answer = self.post("/login", fields, token=True)
        assert answer.status == http.HTTPStatus.FOUND, answer
        return self

    def sign(self, socket_id: str, channel: str) -> Answer:
        """Ask for the signature of a channel, as pusher-js does: with cookies, without a token."""
        return self.post("/pogo/auth", {"socket_id": socket_id, "channel_name": channel})

    def sign_in(self, socket_id: str) -> Answer:
        """Ask for the signature of the user."""
        return self.post("/pogo/user-auth", {"socket_id": socket_id})

    def _send(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        # The address is that of the application under test.
        request = urllib.request.Request(self._url + path, body, headers or {})  # noqa: S310
        try:
            with self._opener.open(request, timeout=PATIENCE) as response:
                return _answer(response.status, response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error)


def _answer(status: int, response: urllib.response.addinfourl) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status, response.read().decode(), headers)
