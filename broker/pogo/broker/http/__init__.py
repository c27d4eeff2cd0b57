"""The Pusher HTTP API: what any server SDK asks a broker, in front of the same publisher as gRPC.

Source: Pusher Channels documentation, "HTTP API Reference". docs/http-api.md has what is answered.
"""

from pogo.broker.http.api import HttpApi
from pogo.broker.http.server import HttpServer

__all__ = ["HttpApi", "HttpServer"]
