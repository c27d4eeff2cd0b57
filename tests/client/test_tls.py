"""Whether a client speaks TLS, whom it believes, what it shows: by arguments or environment."""

import os
from pathlib import Path

import pytest

from pogo.client import Client, ConfigurationError, RunFile, write_run_file
from pogo.client.tls import Tls, find_tls

_VARIABLES = (
    "POGO_TLS",
    "POGO_CA_FILE",
    "POGO_CLIENT_CERT",
    "POGO_CLIENT_KEY",
    "SSL_CERT_FILE",
)


@pytest.fixture(name="files", autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make a file for each variable that names one, with its name in it; none of them is set."""
    files = {}
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        path = tmp_path / name
        path.write_text(name)
        files[name] = str(path)
    return files


def _given(private_key: bytes = b"key") -> Tls | None:
    return find_tls(root_certificates=b"ca", certificate_chain=b"cert", private_key=private_key)


def test_nothing_is_said() -> None:
    """Then there is no TLS."""
    assert find_tls() is None
    assert find_tls(secure=False) is None


def test_arguments() -> None:
    """They are enough, and authorities imply TLS."""
    assert Tls(None, None, None) == find_tls(secure=True)
    assert Tls(b"ca", b"cert", b"key") == _given()


def test_the_environment(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable counts where there is no argument; a system's authorities do not imply TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", files["SSL_CERT_FILE"])

    assert find_tls() is None

    monkeypatch.setenv("POGO_TLS", "on")

    assert Tls(b"SSL_CERT_FILE", None, None) == find_tls()
    assert find_tls(secure=False) is None

    monkeypatch.setenv("POGO_TLS", "no")

    assert find_tls() is None

    for name in ("POGO_CA_FILE", "POGO_CLIENT_CERT", "POGO_CLIENT_KEY"):
        monkeypatch.setenv(name, files[name])
    expected = Tls(b"POGO_CA_FILE", b"POGO_CLIENT_CERT", b"POGO_CLIENT_KEY")

    assert expected == find_tls()
    assert Tls(b"ca", b"cert", b"key") == _given()


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be meant is said, with the variable."""
    monkeypatch.setenv("POGO_TLS", "perhaps")
    with pytest.raises(ConfigurationError, match="POGO_TLS must be true or false"):
        find_tls()
    monkeypatch.delenv("POGO_TLS")
    with pytest.raises(ConfigurationError, match="need each other"):
        find_tls(secure=True, certificate_chain=b"cert")
    monkeypatch.setenv("POGO_CA_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="POGO_CA_FILE: /nowhere: No such file"):
        find_tls()


def test_a_local_server_says_whether_it_speaks_tls() -> None:
    """Its run file is believed, unless another broker is named."""
    run = RunFile(
        os.getpid(), "https://localhost:1", "localhost:2", "app", "key", "secret", tls=True
    )
    write_run_file(run)

    assert Client()._credentials() is not None  # noqa: SLF001 (nobody else tells)
    assert Client("elsewhere:1")._credentials() is None  # noqa: SLF001
    assert Client(secure=False)._credentials() is None  # noqa: SLF001


def test_a_key_is_in_no_representation() -> None:
    """Nor is the secret."""
    tls = _given(b"the-key")

    assert "the-key" not in repr(tls)
