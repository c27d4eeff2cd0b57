"""PEM files, read with a sentence for each way in which they can be wrong."""

import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from pogo.tls.errors import TlsError

_MAX_BYTES = 4 * 1024 * 1024
"""Bytes of one file: the authorities of a whole operating system are a quarter of a megabyte."""

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with the chain to its authority, and its private key, both in PEM."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


def load_key_pair(context: ssl.SSLContext, certificate: str, key: str) -> KeyPair:
    """Have a context show a certificate; returns what the two files hold.

    Raises:
        TlsError: One of them cannot be read or used, or they do not belong together.
    """
    pair = _read_pair(certificate, key)
    try:
        context.load_cert_chain(certificate, key, password=_refusal(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{key}: is not the key of {certificate}") from None
        reason = error.reason or "the PEM in it is damaged"
        raise TlsError(f"{certificate} and {key}: cannot be used: {reason}") from None
    except OSError as error:
        raise TlsError(f"{certificate} and {key}: {error.strerror}") from None
    if _read_pair(certificate, key) != pair:
        raise TlsError(f"{certificate} and {key}: changed while they were read")
    return pair


def load_authorities(context: ssl.SSLContext, path: str) -> bytes:
    """Have a context believe the authorities of a file; returns what it holds.

    Raises:
        TlsError: It cannot be read or used.
    """
    authorities = _read(path)
    _require_certificate(path, authorities)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        reason = error.reason or "the PEM in it is damaged"
        raise TlsError(f"{path}: cannot be used: {reason}") from None
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}") from None
    return authorities


def readable_by_others(path: str) -> bool:
    """Whether a file is open to every user of the machine; not if there is none."""
    try:
        return bool(Path(path).stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _read_pair(certificate: str, key: str) -> KeyPair:
    pair = KeyPair(_read(certificate), _read(key))
    _require_certificate(certificate, pair.certificate)
    if _KEY not in pair.key:
        raise TlsError(f"{key}: holds no private key in PEM")
    return pair


def _require_certificate(path: str, content: bytes) -> None:
    if _CERTIFICATE not in content:
        raise TlsError(f"{path}: holds no certificate in PEM")


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise TlsError(f"{path}: is larger than {_MAX_BYTES} bytes")
    return content


def _refusal(key: str) -> Callable[[], str]:
    """Return what OpenSSL asks for a password: else it would ask whoever is at the terminal."""

    def refuse() -> NoReturn:
        raise TlsError(f"{key}: is encrypted; a server needs a key without a passphrase")

    return refuse
