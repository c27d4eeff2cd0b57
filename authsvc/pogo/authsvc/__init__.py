"""The auth service: channels and users signed by the application's PHP worker.

It stands between browsers, or edges, and a worker that has few hands: it bounds what reaches the
worker, and checks what comes back.
"""

from pogo.authsvc.auth import Auth
from pogo.authsvc.errors import AuthError, ShedError
from pogo.authsvc.server import AuthServer

__all__ = ["Auth", "AuthError", "AuthServer", "ShedError"]
