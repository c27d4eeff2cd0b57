"""What servers speak TLS with: a certificate that can be replaced while they listen."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Self, cast

from pogo.tls.errors import TlsError
from pogo.tls.expiry import expiry
from pogo.tls.files import KeyPair, load_authorities, load_key_pair
from pogo.tls.handshakes import Handshakes, ObservedObject


@dataclass(frozen=True, slots=True)
class Identity:
    """What a listener shows, and whom it lets in."""

    pair: KeyPair
    client_ca: bytes | None
    """In PEM, the authorities of which clients need a certificate; none where they need none."""
    expires: datetime
    """When the certificate ends."""


class ServerTls:
    """The TLS of one listener.

    Args:
        certificate: A file with the certificate and the chain to its authority, in PEM.
        key: A file with its private key, in PEM and not encrypted.
        client_ca: A file with authorities, in PEM, of which every client needs a certificate;
            empty to let in any client.
        handshakes: Sees the handshakes that are made with `context`; none where only `identity` is
            used, as gRPC does.

    Raises:
        TlsError: A file cannot be used.
    """

    def __init__(
        self,
        certificate: str,
        key: str,
        *,
        client_ca: str = "",
        handshakes: Handshakes | None = None,
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self.handshakes = handshakes
        newest, self.identity = self._load()
        self.context: ssl.SSLContext = _ListenerContext(newest, handshakes)
        """What event loops take for `ssl`. Connections keep what they began with."""

    def reload(self) -> bool:
        """Read the files again; whether new connections get anything new.

        Raises:
            TlsError: A file cannot be used; what was shown before goes on being shown.
        """
        newest, identity = self._load()
        if identity == self.identity:
            return False
        self.identity = identity
        cast(_ListenerContext, self.context).newest = newest
        return True

    def _load(self) -> tuple[ssl.SSLContext, Identity]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # OpenSSL 3 refuses it anyway: work that a client could have done again and again.
        context.options |= ssl.OP_NO_RENEGOTIATION
        # Else a browser could settle on HTTP/2, which has no WebSocket here.
        context.set_alpn_protocols(["http/1.1"])
        context.sslobject_class = ObservedObject
        pair = load_key_pair(context, self._certificate, self._key)
        client_ca = None
        if self._client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            client_ca = load_authorities(context, self._client_ca)
        try:
            expires = expiry(pair.certificate)
        except ValueError:
            raise TlsError(f"{self._certificate}: the PEM in it is damaged") from None
        return context, Identity(pair, client_ca, expires)


class _ListenerContext(ssl.SSLContext):
    """What a listener holds for as long as it listens: new connections get the newest context.

    Loading another certificate into a context in use would not do: where it fails, the context is
    left with a certificate and the key of another one.
    """

    newest: ssl.SSLContext
    handshakes: Handshakes | None

    def __new__(cls, newest: ssl.SSLContext, handshakes: Handshakes | None) -> Self:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context.newest, context.handshakes = newest, handshakes
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 (the signature of `ssl`)
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin the TLS of one connection."""
        made = self.newest.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if self.handshakes is not None:
            cast(ObservedObject, made).begin(self.handshakes)
        return made
