"""Whom a client believes, and what it shows of itself."""

import ssl
from dataclasses import dataclass

from pogo.tls.files import KeyPair, load_authorities, load_key_pair


@dataclass(frozen=True, slots=True)
class ClientTls:
    """The files with which connections to one server are made.

    They are read for each connection, so that what has been replaced is used for the next one.
    """

    ca: str = ""
    """A file with the authorities to believe, in PEM; empty for those of the system."""
    certificate: str = ""
    """A file with a certificate to show, and its chain, in PEM; empty to show none."""
    key: str = ""
    """A file with its private key, in PEM and not encrypted."""

    def context(self) -> ssl.SSLContext:
        """Make what a connection needs. The server's name is checked.

        Raises:
            TlsError: A file cannot be used.
        """
        return self._load()[0]

    def pem(self) -> tuple[bytes | None, KeyPair | None]:
        """Return the authorities and the certificate, for libraries that take no context.

        Raises:
            TlsError: A file cannot be used.
        """
        _, authorities, pair = self._load()
        return authorities, pair

    def _load(self) -> tuple[ssl.SSLContext, bytes | None, KeyPair | None]:
        authorities = pair = None
        if self.ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            authorities = load_authorities(context, self.ca)
        else:
            context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            pair = load_key_pair(context, self.certificate, self.key)
        return context, authorities, pair
