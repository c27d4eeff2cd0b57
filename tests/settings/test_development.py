import pytest

from pogo.settings import SettingsError, development_secrets, format_path, load_settings

APP = {"POGO_APP_ID": "1", "POGO_APP_SECRET": "insecure-development-secret"}
PRODUCTION = {"POGO_ENV": "production"}


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        (APP, "apps[0].secret"),
        ({"POGO_REDIS_PASSWORD": "insecure-password"}, "redis_password"),
        ({"POGO_WEBHOOK_SECRET": "insecure-secret"}, "webhook_secret"),
        ({"POGO_NATS_URL": "nats://nats,nats://edge:insecure-password@nats"}, "nats_url[1]"),
        ({"POGO_NATS_URL": "nats://insecure-token@nats"}, "nats_url[0]"),
    ],
)
def test_secrets_of_development_are_found(environ: dict[str, str], place: str) -> None:
    """Wherever there is one, its full path is told."""
    settings = load_settings(None, environ)

    assert [place] == [format_path(location) for location in development_secrets(settings)]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {**APP, "POGO_APP_SECRET": "not-insecure-by-its-name"},
        {"POGO_NATS_URL": "nats://edge:secret@insecure-host", "POGO_REDIS_USER": "insecure-user"},
    ],
)
def test_other_secrets_are_none(environ: dict[str, str]) -> None:
    """Only what a secret begins with counts, and only of secrets."""
    assert [] == development_secrets(load_settings(None, environ))


def test_production_refuses_them() -> None:
    """All of them are named at once, by the source that set them; none is quoted."""
    environ = {**PRODUCTION, **APP, "POGO_NATS_URL": "nats://edge:insecure-password@nats"}
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ)

    reason = "is a secret of development, which everybody knows, and this is production"
    assert {f"POGO_APP_SECRET: {reason}", f"POGO_NATS_URL[0]: {reason}"} == set(
        caught.value.problems
    )


def test_production_takes_others() -> None:
    """With secrets of one's own all is well."""
    environ = {**PRODUCTION, **APP, "POGO_APP_SECRET": "a-secret-of-some-length"}

    assert "production" == load_settings(None, environ).env


def test_other_environments_are_unknown() -> None:
    """A misspelt `production` must not be taken for development."""
    with pytest.raises(SettingsError, match="POGO_ENV: should be 'development' or 'production'"):
        load_settings(None, {"POGO_ENV": "prod"})
