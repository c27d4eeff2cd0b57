"""Certificates for tests: an authority that nobody else believes, and what it issues."""

from datetime import datetime
from pathlib import Path

import trustme

from tests.servers import Certificate

NAMES = ("127.0.0.1", "localhost")


class Authority:
    """An authority; `path` is its own certificate, in PEM."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._ca = trustme.CA()
        self.path = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.path)

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.path.read_bytes()

    def issue(
        self, name: str = "server", *names: str, expires: datetime | None = None
    ) -> Certificate:
        """Issue a certificate for this machine or for other names, in files called `name`.

        What was there under that name is replaced.
        """
        issued = self._ca.issue_cert(*(names or NAMES), not_after=expires)
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        issued.private_key_pem.write_to_path(made.key)
        made.key.chmod(0o600)
        made.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return made
