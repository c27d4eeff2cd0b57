"""Operators, accounts and users of NATS: what `nsc` would make, as far as tests need it.

NATS has JWTs of its own: signed with the nkey of whoever is above, and named by what is in them.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import nkeys

_OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
_ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
_USER = nkeys.PREFIX_BYTE_USER


class Identity:
    """An nkey."""

    def __init__(self, kind: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), kind)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode()

    def vouch(self, name: str, subject: "Identity", claims: Mapping[str, object]) -> str:
        """Sign a JWT about somebody."""
        body: dict[str, object] = {
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {"version": 2, **claims},
        }
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode()
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
        return f"{signed}.{_text(self._pair.sign(signed.encode()))}"


class Accounts:
    """An operator with one account for users, and one for the system, which JetStream wants."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._account = Identity(_ACCOUNT)
        operator, system = Identity(_OPERATOR), Identity(_ACCOUNT)
        unlimited = {"limits": {"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1}}
        known = {
            identity.public: operator.vouch(name, identity, {"type": "account", **unlimited})
            for name, identity in (("pogo", self._account), ("system", system))
        }
        claims = {"type": "operator", "system_account": system.public}
        self.config = folder / "nats.conf"
        self.config.write_text(
            f"operator: {operator.vouch('operator', operator, claims)}\n"
            f"system_account: {system.public}\n"
            "resolver: MEMORY\n"
            f"resolver_preload: {json.dumps(known)}\n"
        )

    def credentials(self) -> Path:
        """Make a user, and return the file with which it logs in."""
        user = Identity(_USER)
        limits = {"subs": -1, "data": -1, "payload": -1}
        jwt = self._account.vouch("user", user, {"type": "user", **limits})
        path = self._folder / "user.creds"
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )
        return path


def user_nkey(path: Path) -> str:
    """Write the seed of a new user to a file, and return its public key."""
    user = Identity(_USER)
    path.write_bytes(user.seed + b"\n")
    return user.public


def _part(value: dict[str, object]) -> str:
    return _text(json.dumps(value).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
