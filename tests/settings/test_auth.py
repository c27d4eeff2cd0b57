import pytest

from pogo.settings import Settings, SettingsError, load_settings

ON = {"POGO_SUBSCRIBE_WITHOUT_AUTH": "true"}
APP = {"WS_APP_ID": "1", "WS_APP_SECRET": "a-secret-of-some-length"}


def _problem(environ: dict[str, str], overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ, overrides or {})
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    "url",
    [
        "",
        "fastcgi:///run/php/php-fpm.sock",
        "fastcgi://php:9000",
        "fastcgi://[::1]:9000",
        "http://app",
        "http://app:8000",
        "https://app.example/prefix",
    ],
)
def test_upstreams(url: str) -> None:
    """A worker is behind FastCGI, on a socket or a port, or behind HTTP."""
    settings = load_settings(
        None, {"POGO_AUTH_UPSTREAM": url, "POGO_AUTH_SCRIPT": "/app/index.php"}
    )

    assert url == settings.auth_upstream


def test_upstream_without_its_last_slash() -> None:
    """Paths are put behind the URL, so that it must not end with a slash."""
    assert "http://app" == Settings(auth_upstream="http://app/").auth_upstream


@pytest.mark.parametrize(
    "url",
    [
        "app:9000",
        "ftp://app",
        "fastcgi://php",
        "fastcgi://php:9000/x",
        "fastcgi:///",
        "fastcgi:php.sock",
        "http://",
        "http://app:0",
        "http://app:99999",
        "http://user:hunter2@app",
        "http://app/?a=b",
        "http://app/#a",
        "http://[app",
    ],
)
def test_what_is_no_upstream(url: str) -> None:
    """The message shows what one looks like, and does not quote what may hold a password."""
    problem = _problem({"POGO_AUTH_UPSTREAM": url, "POGO_AUTH_SCRIPT": "/app/index.php"})

    assert problem.startswith("POGO_AUTH_UPSTREAM: should be fastcgi:///path/of.sock")
    assert "hunter2" not in problem


def test_fastcgi_needs_a_script() -> None:
    """php-fpm has to be told what to run; an HTTP server knows."""
    assert "auth_script: is required" in _problem({"POGO_AUTH_UPSTREAM": "fastcgi:///a.sock"})
    load_settings(None, {"POGO_AUTH_UPSTREAM": "http://app"})


@pytest.mark.parametrize("address", ["authsvc", "authsvc:", ":50051", "authsvc:0", "a:99999"])
def test_what_is_no_address(address: str) -> None:
    """The auth service of edges is a host and a port."""
    assert "is no host:port" in _problem({"POGO_AUTH_SERVICE": address})


@pytest.mark.parametrize("path", ["auth", "/a b", "/a?b", "/a#b", "", "/\r\nX: y"])
def test_what_is_no_path(path: str) -> None:
    """A path is that of a URL, and no more."""
    with pytest.raises(SettingsError):
        load_settings(None, {}, {"auth_path": path})


@pytest.mark.parametrize("name", ["auth_path", "user_auth_path"])
@pytest.mark.parametrize("path", ["/", "/up", "/pogo/health", "/app/x", "/app/", "/demo/auth"])
def test_paths_of_the_server_itself(name: str, path: str) -> None:
    """What the server answers itself would hide the route, or be hidden by it."""
    problem = _problem({f"POGO_{name.upper()}": path})

    assert f"POGO_{name.upper()}: {path} is the server's own; choose" in problem


def test_paths_that_only_look_like_the_servers() -> None:
    """Other paths with the same beginning are free."""
    environ = {"POGO_AUTH_PATH": "/upper", "POGO_USER_AUTH_PATH": "/application/user"}
    settings = load_settings(None, environ)

    assert ("/upper", "/application/user") == (settings.auth_path, settings.user_auth_path)


@pytest.mark.parametrize(
    "environ",
    [
        {"POGO_AUTH_PATH": "/pogo/user-auth"},
        {"POGO_USER_AUTH_PATH": "/pogo/auth"},
        {"POGO_AUTH_PATH": "/sign", "POGO_USER_AUTH_PATH": "/sign"},
    ],
)
def test_one_path_for_two_things(environ: dict[str, str]) -> None:
    """Channels and users are signed at different paths, also where one of them is the default."""
    assert "is auth_path already, and users need another one" in _problem(environ)


def test_without_auth_any_page_is_too_many() -> None:
    """With `*`, which is the default, any page could have a browser send its cookies."""
    assert "needs allowed_origins without '*'" in _problem(ON)
    assert "needs allowed_origins without '*'" in _problem({**ON, "POGO_ALLOWED_ORIGINS": "a,*"})


def test_without_auth_the_pages_of_each_app_count() -> None:
    """An app of its own `*` is named."""
    apps = [{"id": "1", "secret": "s"}, {"id": "2", "secret": "s", "allowed_origins": ["*"]}]
    problem = _problem({**ON, "POGO_ALLOWED_ORIGINS": "a.example"}, {"apps": apps})

    assert "needs apps[1].allowed_origins without '*'" in problem


def test_without_auth_for_known_pages() -> None:
    """Where the pages are named, it is the operator's to switch on."""
    origins = "shop.example,https://*.shop.example"
    settings = load_settings(None, {**APP, **ON, "POGO_ALLOWED_ORIGINS": origins})

    assert settings.subscribe_without_auth
