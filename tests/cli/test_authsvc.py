"""`pogo authsvc`, and the settings of the other services that lead to it."""

import pytest

from tests.cli.conftest import Run

APP = {"WS_APP_ID": "1", "WS_APP_SECRET": "a-secret-of-some-length"}
ON = {"POGO_SUBSCRIBE_WITHOUT_AUTH": "true", "POGO_ALLOWED_ORIGINS": "a.example"}


@pytest.mark.parametrize(
    ("service", "env", "message"),
    [
        ("authsvc", APP, "set auth_upstream to"),
        ("authsvc", {"POGO_AUTH_UPSTREAM": "http://127.0.0.1:1"}, "no app is configured"),
        ("serve", ON, "needs auth_upstream"),
        ("edge", {**APP, **ON, "POGO_BUS": "nats"}, "needs auth_service"),
        ("serve", {"POGO_SUBSCRIBE_WITHOUT_AUTH": "true"}, "allowed_origins without '*'"),
    ],
)
def test_what_is_missing_is_named(
    pogo: Run, service: str, env: dict[str, str], message: str
) -> None:
    """Exit code 2, and what to do about it."""
    code, out, err = pogo(service, env=env)

    assert (2, "") == (code, out)
    assert message in err
    assert "Traceback" not in err
