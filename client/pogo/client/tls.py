"""Whether to speak TLS, whom to believe, what to show: from the arguments or the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from pogo.client.errors import ConfigurationError

_YES = ("1", "true", "on", "yes")
_NO = ("", "0", "false", "off", "no")


@dataclass(frozen=True, slots=True)
class Tls:
    """What gRPC needs for TLS, all in PEM."""

    root_certificates: bytes | None
    """The authorities to believe; none for gRPC's own."""
    certificate_chain: bytes | None
    private_key: bytes | None = field(repr=False)


def find_tls(
    *,
    secure: bool | None = None,
    root_certificates: bytes | None = None,
    certificate_chain: bytes | None = None,
    private_key: bytes | None = None,
) -> Tls | None:
    """Fill in what is not given from the environment; `None` to do without TLS.

    Raises:
        ConfigurationError: A file that a variable names cannot be read, or of a certificate and its
            key only one is there.
    """
    roots = root_certificates
    if roots is None and secure is not False:
        roots = _read("POGO_CA_FILE")
    if roots is None and not (_is_on("POGO_TLS") if secure is None else secure):
        return None
    chain = certificate_chain or _read("POGO_CLIENT_CERT")
    key = private_key or _read("POGO_CLIENT_KEY")
    if (chain is None) != (key is None):
        raise ConfigurationError(
            "a client's certificate and its private key need each other: pass certificate_chain "
            "and private_key, or set POGO_CLIENT_CERT and POGO_CLIENT_KEY"
        )
    return Tls(_read("SSL_CERT_FILE") if roots is None else roots, chain, key)


def _is_on(variable: str) -> bool:
    value = os.environ.get(variable, "").strip().lower()
    if value not in _YES + _NO:
        raise ConfigurationError(f"{variable} must be true or false")
    return value in _YES


def _read(variable: str) -> bytes | None:
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{variable}: {path}: {error.strerror}") from None
