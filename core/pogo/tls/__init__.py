"""TLS: certificates that listeners show and can replace while they run, and whom clients believe.

TLS 1.2 is the least that is spoken. Nothing of a key, or of any other file, is in a log, a
representation or an error.

What only a process that serves needs is in `pogo.tls.watch` and `pogo.tls.metrics`.
"""

from pogo.tls.client import ClientTls
from pogo.tls.errors import TlsError
from pogo.tls.files import KeyPair, readable_by_others
from pogo.tls.handshakes import Handshakes
from pogo.tls.server import Identity, ServerTls

__all__ = [
    "ClientTls",
    "Handshakes",
    "Identity",
    "KeyPair",
    "ServerTls",
    "TlsError",
    "readable_by_others",
]
