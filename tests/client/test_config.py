import os

import pytest

from pogo.client import Client, ConfigurationError, RunFile, write_run_file
from pogo.client.config import Configuration, find_configuration

RUN = RunFile(
    pid=os.getpid(),
    url="http://127.0.0.1:8080",
    broker="127.0.0.1:4711",
    app_id="pogo-app",
    key="pogo-key",
    secret="run-secret",
)


def test_arguments_are_enough() -> None:
    """Nothing else is asked for once id and secret are given; the key is the id."""
    expected = Configuration("127.0.0.1:50051", "shop", "shop", "s3cret")

    assert expected == find_configuration(app_id="shop", secret="s3cret")


@pytest.mark.parametrize(
    ("id_name", "secret_name"),
    [("POGO_APP_ID", "POGO_APP_SECRET"), ("WS_APP_ID", "WS_APP_SECRET")],
)
def test_the_environment(id_name: str, secret_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both families of names are read."""
    monkeypatch.setenv("POGO_BROKER", "broker:1")
    monkeypatch.setenv(id_name, "shop")
    monkeypatch.setenv(secret_name, "s3cret")

    assert Configuration("broker:1", "shop", "shop", "s3cret") == find_configuration()

    monkeypatch.setenv("POGO_APP_KEY", "shop-key")

    assert Configuration("broker:1", "shop", "shop-key", "s3cret") == find_configuration()


def test_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed wins over the environment, and the environment over the run file."""
    write_run_file(RUN)
    monkeypatch.setenv("POGO_BROKER", "broker:1")
    monkeypatch.setenv("POGO_APP_ID", "shop")
    monkeypatch.setenv("POGO_APP_KEY", "shop-key")
    monkeypatch.setenv("POGO_APP_SECRET", "s3cret")
    given = find_configuration("broker:2", "other", "other-key", "other-secret")

    assert Configuration("broker:1", "shop", "shop-key", "s3cret") == find_configuration()
    assert Configuration("broker:2", "other", "other-key", "other-secret") == given


def test_a_local_serve_needs_no_configuration() -> None:
    """A `pogo serve` that runs on this machine says itself where it is and what its secret is."""
    write_run_file(RUN)
    expected = Configuration("127.0.0.1:4711", "pogo-app", "pogo-key", "run-secret")

    assert expected == find_configuration()
    assert expected == find_configuration(app_id="pogo-app", key="pogo-key")
    assert "elsewhere:1" == find_configuration("elsewhere:1").target


def test_the_run_file_is_for_its_app_only() -> None:
    """The secret of one app is not used for another."""
    write_run_file(RUN)

    with pytest.raises(ConfigurationError, match="no secret of the app shop"):
        find_configuration(app_id="shop")
    with pytest.raises(ConfigurationError, match="no secret"):
        find_configuration(key="shop")


def test_without_a_secret_the_ways_to_give_it_are_named() -> None:
    """The error of a first try says what to do next."""
    with pytest.raises(ValueError, match="there is no secret") as caught:
        Client()

    assert isinstance(caught.value, ConfigurationError)
    for way in ("pass secret", "POGO_APP_SECRET", "pogo serve"):
        assert way in str(caught.value)


def test_a_secret_needs_an_app_id() -> None:
    """A secret alone does not say whose it is."""
    with pytest.raises(ConfigurationError, match="POGO_APP_ID"):
        find_configuration(secret="s3cret")


def test_secrets_are_in_no_repr() -> None:
    """A client and its configuration can be logged."""
    client = Client("broker:1", app_id="shop", secret="s3cret")

    assert "Client('broker:1', app_id='shop')" == repr(client)
    assert "s3cret" not in repr(find_configuration(app_id="shop", secret="s3cret"))
