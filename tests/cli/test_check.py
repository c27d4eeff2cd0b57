from pathlib import Path

from tests.cli.conftest import Run


def test_good_settings_are_shown_with_their_sources(tmp_path: Path, pogo: Run) -> None:
    """Exit code 0; each value with what set it, and no secret."""
    (tmp_path / "pogo.toml").write_text(
        'bus = "nats"\nnats_url = "nats://user:hunter2@nats:4222"\n'
        '[[apps]]\nid = "shop"\nsecret = "hunter2-hunter2-hunter2"\n'
    )

    code, out, err = pogo(
        "config", "check", env={"POGO_PORT": "0", "POGO_REDIS_PASSWORD": "hunter2"}
    )

    rows = [line.split() for line in out.splitlines()]
    assert 0 == code
    assert ["bus", "nats", "pogo.toml"] in rows
    assert ["nats_url", "nats://********@nats:4222", "pogo.toml"] in rows
    assert ["port", "0", "POGO_PORT"] in rows
    assert ["redis_password", "********", "POGO_REDIS_PASSWORD"] in rows
    assert ["apps[0].id", "shop", "pogo.toml"] in rows
    assert ["apps[0].key", "shop", "default"] in rows
    assert ["apps[0].secret", "********", "pogo.toml"] in rows
    assert ["redis_tls", "false", "default"] in rows
    assert "hunter2" not in out + err
    assert "" == err


def test_each_webhook_is_shown_without_what_may_be_secret(tmp_path: Path, pogo: Run) -> None:
    """A row for each of its settings; of URLs and headers the path and the values are hidden."""
    (tmp_path / "pogo.toml").write_text(
        'webhook_url = "https://user:hunter2@all.example/hook?token=hunter2"\n'
        '[[apps]]\nid = "shop"\nsecret = "hunter2-hunter2-hunter2"\n'
        '[[apps.webhooks]]\nname = "crm"\nurl = "https://crm.example:8443/hunter2"\n'
        'events = ["member_added", "member_removed"]\n'
        'headers = { Authorization = "hunter2" }\n'
        '[[apps.webhooks]]\nname = "shop"\nurl = "https://shop.example/"\n'
    )

    code, out, err = pogo("config", "check")

    rows = [line.split() for line in out.splitlines()]
    crm, shop = "apps[0].webhooks[0]", "apps[0].webhooks[1]"
    assert (0, "") == (code, err)
    assert ["webhook_url", "https://********@all.example/********", "pogo.toml"] in rows
    assert [f"{crm}.name", "crm", "pogo.toml"] in rows
    assert [f"{crm}.url", "https://crm.example:8443/********", "pogo.toml"] in rows
    assert [f"{crm}.events", "member_added,", "member_removed", "pogo.toml"] in rows
    assert [f"{crm}.channel_prefixes", "default"] in rows
    assert [f"{crm}.headers", "Authorization:", "********", "pogo.toml"] in rows
    assert [f"{shop}.url", "https://shop.example/", "pogo.toml"] in rows
    assert "hunter2" not in out


def test_everything_wrong_is_reported_at_once(tmp_path: Path, pogo: Run) -> None:
    """Exit code 2; one line a problem, and no secret."""
    config = tmp_path / "other.toml"
    config.write_text('prot = 1\n[[apps]]\nid = "shop"\nsecret = ["hunter2"]\n')

    code, out, err = pogo(
        "config", "check", "--config", "other.toml", env={"POGO_PING_PERIOD": "soon"}
    )

    assert (2, "") == (code, out)
    title, *problems = err.splitlines()
    assert "pogo: 3 problems in the settings:" == title
    assert [
        "  POGO_PING_PERIOD: 'soon' is no duration; write 54s, 1m30s, 500ms or seconds",
        "  other.toml: apps[0].secret: should be a valid string",
        "  other.toml: prot: unknown setting; the nearest known one is port",
    ] == sorted(problems)


def test_a_short_secret_is_worth_a_warning(pogo: Run) -> None:
    """It works, but it can be guessed; it is not quoted."""
    code, _, err = pogo("config", "check", env={"WS_APP_ID": "1", "WS_APP_SECRET": "hunter2"})

    assert 0 == code
    assert "warning: the secret of app '1' has fewer than 16 characters" in err
    assert "hunter2" not in err
