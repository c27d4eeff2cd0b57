from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from pogo.settings import App, Settings, SettingsError, load_settings, trace_settings


@pytest.fixture(name="write")
def _write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory; the path is that of its `pogo.toml`, not there yet."""
    monkeypatch.chdir(tmp_path)
    return Path("pogo.toml")


def _problems(
    config: Path | None = None,
    environ: dict[str, str] | None = None,
    overrides: dict[str, object] | None = None,
) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, environ or {}, overrides or {})
    return caught.value.problems


def test_without_any_source_everything_has_its_default(write: Path) -> None:
    """No file, no variable and no flag: the defaults, and no app."""
    assert not write.exists()

    assert Settings() == load_settings(None, {})


def test_the_higher_source_wins_name_by_name(write: Path) -> None:
    """A flag beats a variable, a variable beats the file, and each keeps what it alone sets."""
    write.write_text('port = 1\ngrpc_port = 1\nhost = "::1"')

    settings, origins = trace_settings(
        None, {"POGO_PORT": "2", "POGO_GRPC_PORT": "2", "HOME": "/root"}, {"port": 3}
    )

    assert (3, 2, "::1") == (settings.port, settings.grpc_port, settings.host)
    assert {
        "port": "--port",
        "grpc_port": "POGO_GRPC_PORT",
        "host": "pogo.toml: host",
    } == origins


def test_the_origin_of_each_field_of_an_app_is_known(write: Path) -> None:
    """One app may come from the file and the environment together; defaults are not named."""
    write.write_text('app_id = "2"\n[[apps]]\nid = "1"\nsecret = "one"')

    _, origins = trace_settings(None, {"POGO_APP_SECRET": "two"})

    assert {
        "apps[0].id": "pogo.toml: apps[0].id",
        "apps[0].secret": "pogo.toml: apps[0].secret",
        "apps[1].id": "pogo.toml: app_id",
        "apps[1].secret": "POGO_APP_SECRET",
    } == origins


def test_the_origin_of_each_field_of_a_webhook_is_known(write: Path) -> None:
    """Defaults are not named."""
    write.write_text('[[apps]]\nid = "1"\nsecret = "s"\n[[apps.webhooks]]\nurl = "http://x"')

    _, origins = trace_settings(None, {})

    assert {
        "apps[0].id": "pogo.toml: apps[0].id",
        "apps[0].secret": "pogo.toml: apps[0].secret",
        "apps[0].webhooks": "pogo.toml: apps[0].webhooks",
        "apps[0].webhooks[0].url": "pogo.toml: apps[0].webhooks[0].url",
    } == origins


def test_a_named_file_is_read_instead_of_the_one_in_the_directory(write: Path) -> None:
    """With `--config`, `./pogo.toml` is not read at all."""
    write.write_text("this is not TOML")
    other = Path("other.toml")
    other.write_text("port = 0")

    assert load_settings(other, {}).port == 0


def test_values_are_read_from_text_as_the_environment_has_them() -> None:
    """Numbers, booleans, lists, durations and networks all come as strings."""
    settings = load_settings(
        None,
        {
            "POGO_NATS_URL": "nats://a:4222, tls://user:pw@b",
            "POGO_TRUSTED_PROXIES": "10.0.0.0/8,::1",
            "POGO_REDIS_TLS": "true",
            "POGO_REDIS_SENTINELS": "a:26379,b:26379",
            "POGO_PING_PERIOD": "500ms",
            "POGO_HANDSHAKE_RATE": "-1",
            "POGO_WEBHOOK_SECRET": "hook",
        },
    )

    assert ("nats://a:4222", "tls://user:pw@b") == settings.nats_url
    assert (ip_network("10.0.0.0/8"), ip_network("::1")) == settings.trusted_proxies
    assert settings.redis_tls
    assert ("a:26379", "b:26379") == settings.redis_sentinels
    assert settings.ping_period == 0.5
    assert settings.handshake_rate == -1.0
    assert SecretStr("hook") == settings.webhook_secret


def test_an_empty_variable_counts_as_not_set() -> None:
    """What `${X:-}` leaves in a compose file changes nothing."""
    assert Settings() == load_settings(None, {"POGO_PORT": "", "WS_APP_ID": "", "POGO_X": ""})


def test_variables_of_the_clients_are_known() -> None:
    """A publisher's variables may stand in the environment that a server shares with it."""
    names = [
        "BROKER",
        "AUTH_APP",
        "CA_FILE",
        "ENCRYPTION_MASTER_KEY_BASE64",
        "TIMEOUT",
        "TLS",
    ]
    environ = {f"POGO_{name}": "x" for name in [*names, "TRANSPORT", "URL"]}

    assert Settings() == load_settings(None, environ)


def test_a_file_holds_several_apps(write: Path) -> None:
    """Each table is an app; the key is the id unless given, origins are the server's if absent."""
    write.write_text(
        """
        [[apps]]
        id = "1"
        secret = "one"

        [[apps]]
        id = "2"
        key = "two-key"
        secret = "two"
        previous_secret = "too"
        enabled = false
        client_events = false
        allowed_origins = ["https://two.example"]
        max_connections = 5
        """
    )

    assert (
        App(id="1", key="1", secret=SecretStr("one")),
        App(
            id="2",
            key="two-key",
            secret=SecretStr("two"),
            previous_secret=SecretStr("too"),
            enabled=False,
            client_events=False,
            allowed_origins=("https://two.example",),
            max_connections=5,
        ),
    ) == load_settings(None, {}).apps


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"POGO_APP_ID": "1", "POGO_APP_KEY": "k", "POGO_APP_SECRET": "s"}, "k"),
        ({"WS_APP_ID": "1", "WS_APP_SECRET": "s"}, "1"),
        ({"REVERB_APP_ID": "1", "REVERB_APP_KEY": "k", "REVERB_APP_SECRET": "s"}, "k"),
    ],
)
def test_one_app_comes_from_the_environment(environ: dict[str, str], key: str) -> None:
    """Pogo's own names, those of the FrankenPHP module, and those of a Reverb project."""
    (app,) = load_settings(None, environ).apps

    assert App(id="1", key=key, secret=SecretStr("s")) == app


def test_one_family_of_app_variables_is_used_whole() -> None:
    """The key of a Reverb project never joins the id and secret that came by other names."""
    environ = {"WS_APP_ID": "1", "WS_APP_SECRET": "s", "REVERB_APP_KEY": "k"}

    assert "1" == load_settings(None, environ).apps[0].key


def test_the_one_app_may_have_its_secret_from_the_environment(write: Path) -> None:
    """The file names the app, the environment holds what must not stand in a file."""
    write.write_text('app_id = "1"\n[[apps]]\nid = "2"\nsecret = "two"')

    apps = load_settings(None, {"POGO_APP_SECRET": "one"}).apps

    assert ["two", "one"] == [app.secret.get_secret_value() for app in apps]


def test_all_problems_are_reported_at_once_with_source_and_path(write: Path) -> None:
    """Each has a line that leads to its place: file and path, variable, or flag."""
    write.write_text(
        """
        pong_wait = "50s"
        shutdown_timeout = "soon"
        bus = "kafka"
        [[apps]]
        id = "1"
        secret = "one"
        [[apps]]
        id = "a/b"
        secret = ""
        [[apps]]
        id = "3"
        """
    )

    problems = _problems(
        environ={
            "POGO_PORT": "http",
            "POGO_TRUSTED_PROXIES": "127.0.0.1,10.0.0.1/8",
            "POGO_NATS_URL": "nats://ok,http://x",
            "POGO_REDIS_SENTINELS": "host",
            "POGO_HANDSHAKE_RATE": "0",
        },
        overrides={"grpc_port": 65_536},
    )

    assert {
        "pogo.toml: apps[1].id: should be 1 to 128 characters out of A-Z a-z 0-9 _ . -",
        "pogo.toml: apps[1].secret: must not be empty",
        "pogo.toml: apps[2].secret: is required",
        "pogo.toml: bus: should be 'memory', 'nats' or 'redis'",
        "pogo.toml: pong_wait: 50s should be longer than ping_period, 54s",
        "pogo.toml: shutdown_timeout: 'soon' is no duration; write 54s, 1m30s, 500ms or seconds",
        "POGO_PORT: should be a valid integer, unable to parse string as an integer",
        "POGO_TRUSTED_PROXIES[1]: 10.0.0.1/8 has host bits set; write a network such as 10.0.0.0/8",
        "POGO_NATS_URL[1]: should be nats://[user:password@]host[:port], or tls://…",
        "POGO_REDIS_SENTINELS[0]: 'host' is no host:port",
        "POGO_HANDSHAKE_RATE: should not be 0; negative is unlimited",
        "--grpc-port: should be less than or equal to 65535",
    } == set(problems)


def test_a_default_that_contradicts_a_given_value_is_named_as_a_default() -> None:
    """The given one is quoted, so that the reader knows which to change."""
    assert ("default: pong_wait: 60s should be longer than ping_period, 120s",) == _problems(
        environ={"POGO_PING_PERIOD": "2m"}
    )


def test_an_unknown_name_is_answered_with_the_nearest_known_one(write: Path) -> None:
    """At the top of the file, in an app's table, and among the variables."""
    write.write_text('pign_period = "5s"\n[[apps]]\nid = "1"\nsecret = "s"\nclient_event = true')

    assert {
        "pogo.toml: pign_period: unknown setting; the nearest known one is ping_period",
        "pogo.toml: apps[0].client_event: unknown setting; the nearest known one is client_events",
        "POGO_PONG_WIAT: unknown setting; the nearest known one is POGO_PONG_WAIT",
    } == set(_problems(environ={"POGO_PONG_WIAT": "5s"}))


def test_what_is_wrong_with_a_webhook_is_said_without_its_secrets(write: Path) -> None:
    """In words of the file, one line a problem; names of headers as they were written."""
    write.write_text(
        '[[apps]]\nid = "1"\nsecret = "s"\n'
        '[[apps.webhooks]]\nurl = "ftp://x/?hunter2"\nheaders = { X-Pusher-Key = "hunter2" }\n'
        '[[apps.webhooks]]\nurl = "http://x/?hunter2"\nevents = []\nheaders = "hunter2"\n'
        '[[apps.webhooks]]\nurl = "http://x/?hunter2"\nevents = 5\n'
        'channel_prefixes = [""]\n'
    )

    assert {
        "pogo.toml: apps[0].webhooks[0].url: should be http://host[:port]/path, or https://…",
        "pogo.toml: apps[0].webhooks[0].headers: X-Pusher-Key is set by Pogo itself",
        "pogo.toml: apps[0].webhooks[1].events: must not be empty; for all events, leave it out",
        "pogo.toml: apps[0].webhooks[1].headers: should be a table",
        "pogo.toml: apps[0].webhooks[2].events: should be a list",
        "pogo.toml: apps[0].webhooks[2].channel_prefixes[0]: must not be empty",
    } == set(_problems())


def test_the_events_of_a_webhook_may_be_one_text(write: Path) -> None:
    """With commas, as every other list."""
    write.write_text(
        '[[apps]]\nid = "1"\nsecret = "s"\n'
        '[[apps.webhooks]]\nurl = "http://x"\nevents = "member_added, cache_miss"\n'
    )

    [webhook] = load_settings(None, {}).apps[0].webhooks

    assert ("member_added", "cache_miss") == webhook.events


def test_a_setting_of_apps_outside_of_their_table_is_told_where_it_belongs(write: Path) -> None:
    """At the top of the file and among the variables."""
    write.write_text('event_rate = 5\n[[webhooks]]\nurl = "http://x"')

    assert {
        "pogo.toml: event_rate: is a setting of an app: write it into an [[apps]] table",
        "pogo.toml: webhooks: is a setting of an app: write it into an [[apps]] table",
        "POGO_READ_RATE: is a setting of an app: write it into an [[apps]] table",
    } == set(_problems(environ={"POGO_READ_RATE": "5"}))


def test_two_apps_may_share_neither_id_nor_key(write: Path) -> None:
    """Both collisions are reported, with what is shared."""
    write.write_text(
        '[[apps]]\nid = "1"\nsecret = "s"\n[[apps]]\nid = "1"\nkey = "2"\nsecret = "s"\n'
        '[[apps]]\nid = "2"\nsecret = "s"'
    )

    assert ("pogo.toml: apps: 2 apps have the id '1'; 2 apps have the key '2'",) == _problems()


def test_a_secret_is_rotated_in_the_environment() -> None:
    """Where containers have one app and no file; an empty variable is none."""
    app = {"POGO_APP_ID": "1", "POGO_APP_SECRET": "new"}
    (both,) = load_settings(None, {**app, "POGO_APP_PREVIOUS_SECRET": "old"}).apps
    (one,) = load_settings(None, {**app, "POGO_APP_PREVIOUS_SECRET": ""}).apps

    assert both.previous_secret is not None
    assert "old" == both.previous_secret.get_secret_value()
    assert one.previous_secret is None


@pytest.mark.parametrize("given", [{"WS_APP_ID": "1"}, {"POGO_APP_KEY": "k"}])
def test_half_an_app_is_an_error(given: dict[str, str]) -> None:
    """An id without a secret is not quietly dropped."""
    (problem,) = _problems(environ=given)

    assert problem.startswith(f"{next(iter(given))}: app_")
    assert "app_secret" in problem


def test_the_environment_may_repeat_an_app_of_the_file(write: Path) -> None:
    """What publishers are told to set wins over the app of that id, and makes no second one."""
    write.write_text(
        '[[apps]]\nid = "shop"\nkey = "k"\nsecret = "old"\n[[apps]]\nid = "b"\nsecret = "b"'
    )
    environ = {"POGO_APP_ID": "shop", "POGO_APP_SECRET": "new"}
    settings = load_settings(None, environ)

    assert [("shop", "k", "new"), ("b", "b", "b")] == [
        (app.id, app.key, app.secret.get_secret_value()) for app in settings.apps
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[apps]\nid = "1"', "apps: should be a list: an app is an [[apps]] table"),
        ("apps = [3]", "apps[0]: should be a table"),
        ("ping_period = true", "ping_period: should be a number, not true or false"),
        ("max_connections = true", "max_connections: should be a number, not true or false"),
        ("handshake_rate = false", "handshake_rate: should be a number, not true or false"),
        ("port = true", "port: should be a number, not true or false"),
    ],
)
def test_slips_are_answered_in_the_users_terms(write: Path, text: str, message: str) -> None:
    """Not in Python's, nor by taking them for something else."""
    write.write_text(text)

    assert any(message in problem for problem in _problems())


def test_apps_that_are_no_tables_are_an_error(write: Path) -> None:
    """Also beside an app from the environment, which must not hide it."""
    write.write_text('apps = "1"')

    (problem,) = _problems(environ={"WS_APP_ID": "1", "WS_APP_SECRET": "s"})

    assert problem.startswith("pogo.toml: apps: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"port = ", "Invalid value"), (b'host = "\xff"', "can't decode byte 0xff")],
)
def test_a_file_that_cannot_be_parsed_is_an_error(
    write: Path, content: bytes, message: str
) -> None:
    """Broken TOML and broken UTF-8 name the file."""
    write.write_bytes(content)

    (problem,) = _problems()

    assert problem.startswith("pogo.toml: ")
    assert message in problem


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """What was asked for by name is not silently absent."""
    path = tmp_path / "absent.toml"

    assert (f"{path}: No such file or directory",) == _problems(path)


def test_no_secret_appears_in_any_text(write: Path) -> None:
    """Neither errors nor representations quote what was given for a secret."""
    secrets = ["hunter2-app", "hunter2-redis", "hunter2-nats", "hunter2-hook"]
    write.write_text(
        '[[apps]]\nid = "1"\nsecret = ["hunter2-app"]\nprevious_secret = {x = "hunter2-app"}'
    )
    bad = "\n".join(
        _problems(
            environ={
                "POGO_NATS_URL": "redis://u:hunter2-nats@x,nats://u:hunter2-nats@x:port",
                "POGO_REDIS_PASSWORD": "hunter2-redis",
                "POGO_WEBHOOK_SECRET": "hunter2-hook",
            },
            overrides={"redis_sentinel_password": 2},
        )
    )
    write.unlink()
    good = load_settings(
        None,
        {
            "WS_APP_ID": "1",
            "WS_APP_SECRET": "hunter2-app",
            "POGO_NATS_URL": "nats://u:hunter2-nats@x",
            "POGO_REDIS_PASSWORD": "hunter2-redis",
            "POGO_WEBHOOK_SECRET": "hunter2-hook",
        },
    )

    assert bad.count("\n") >= 4
    assert [] == [s for s in secrets if s in bad or s in repr(good) or s in str(good)]


def test_settings_are_frozen() -> None:
    """What services share cannot be changed under them."""
    with pytest.raises(ValidationError):
        Settings().port = 1
