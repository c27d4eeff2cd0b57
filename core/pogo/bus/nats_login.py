"""How to log in to NATS, and whom to believe that they are its servers.

Files are read for each connection, so that what has been replaced is used for the next one. They
are checked here, since nats-py would look for ever for the JWT in a file that has none.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nkeys
from nats.aio.client import RawCredentials

from pogo.bus.interface import BusUnavailableError
from pogo.tls import ClientTls, TlsError

_JWT = "-----BEGIN NATS USER JWT-----"
_SEED = "-----BEGIN USER NKEY SEED-----"
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsLogin:
    """Who connects, in one of four ways or in none, and how TLS is spoken where a URL asks for it.

    What a URL holds itself counts instead.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    creds: str = ""
    """A credentials file: the JWT of a user, and the seed of its nkey."""
    nkey: str = ""
    """A file with the seed of a user's nkey."""
    tls: ClientTls = field(default_factory=ClientTls)

    def options(self) -> dict[str, Any]:
        """Return nats-py's connect options for who connects.

        Raises:
            BusUnavailableError: A file cannot be used. The message holds nothing of what is in it.
        """
        if self.creds:
            return {"user_credentials": RawCredentials(_read_creds(self.creds))}
        if self.nkey:
            return {"nkeys_seed_str": _check_seed(self.nkey, _read(self.nkey).strip())}
        if self.user:
            return {"user": self.user, "password": self.password}
        return {"token": self.token or None}

    def tls_options(self) -> dict[str, Any]:
        """Return nats-py's connect options for TLS.

        Raises:
            BusUnavailableError: A file cannot be used.
        """
        try:
            return {"tls": self.tls.context()}
        except TlsError as error:
            raise BusUnavailableError(str(error)) from None


ANONYMOUS = NatsLogin()
"""Nobody in particular, who believes whom the system believes."""


def _read_creds(path: str) -> str:
    text = _read(path)
    lines = [line.strip() for line in text.splitlines()]
    for begin in (_JWT, _SEED):
        if begin not in lines[:-1]:
            raise BusUnavailableError(f"{path}: is no NATS credentials file, for want of {begin}")
    _check_seed(path, lines[lines.index(_SEED) + 1])
    return text


def _check_seed(path: str, seed: str) -> str:
    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except Exception:  # noqa: BLE001 (whatever it is that nkeys makes of text that is no seed)
        raise BusUnavailableError(f"{path}: holds no seed of an nkey") from None
    return seed


def _read(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BusUnavailableError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BusUnavailableError(f"{path}: is not text in UTF-8") from None
    if len(text) > _MAX_BYTES:
        raise BusUnavailableError(f"{path}: is larger than {_MAX_BYTES} characters")
    return text
