"""Whom an edge lets in: what becomes of a socket whose handshake is valid.

It owns the judgement of who may connect (the app, its origins and quotas, what the edge can take),
and the ids of sockets. Whoever may not is told in the protocol's terms.
"""

import asyncio
import secrets

from websockets.http11 import Request

from pogo.edge.apps import Apps, EdgeApp
from pogo.edge.authorizer import Authorizer
from pogo.edge.connection import Connection, Services
from pogo.edge.handshake import peer_address
from pogo.edge.hub import Hub
from pogo.edge.limits import protocol_limits
from pogo.edge.outages import Outages
from pogo.pusher.errors import CloseError, OverCapacityError
from pogo.pusher.handshake import make_socket_id, parse_target
from pogo.pusher.protocol import PusherProtocol
from pogo.serving import RemoteAddresses
from pogo.settings import Settings


class Admission:
    """Turns handshakes into connections of the hub (see `pogo.edge.handshake.Acceptor`).

    Args:
        services: What all connections share.
        authorizer: Keeps what it needs of each handshake, where the application can be asked.
        outages: Knows whether the edge can serve anybody.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        apps: Apps,
        hub: Hub,
        services: Services,
        addresses: RemoteAddresses,
        authorizer: Authorizer | None,
        outages: Outages,
    ) -> None:
        self._apps = apps
        self._hub = hub
        self._services = services
        self._addresses = addresses
        self._authorizer = authorizer
        self._outages = outages
        self._handshakes = services.metrics.handshakes
        self._limits = protocol_limits(settings)
        self._max_connections = settings.max_connections
        # Cookies decide what the client may do, so it must be known whose page it is.
        self._needs_origin = settings.subscribe_without_auth

    def accept(
        self, transport: asyncio.Transport, request: Request, response: bytes, early: bytes
    ) -> None:
        """Take over a socket whose handshake is valid, or refuse it in the protocol's terms."""
        error: CloseError | None = None
        try:
            app = self._admit(request)
        except CloseError as refusal:
            app, error = self._apps.nobody, refusal
        protocol = PusherProtocol(app.policy, self._limits, self._new_socket_id())
        connection = Connection(transport, self._services, app, protocol)
        self._hub.opened(connection)
        if error is not None:
            self._handshakes.labels(str(error.code)).inc()
            connection.refuse(response, error)
            return
        self._handshakes.labels("accepted").inc()
        if self._authorizer is not None:
            peer = peer_address(transport)
            self._authorizer.opened(
                connection,
                request.headers.raw_items(),
                remote=peer,
                from_trusted_proxy=self._addresses.trusts(peer),
            )
        connection.establish(response)
        if early:
            connection.data_received(early)

    def handshake_refused(self, reason: str) -> None:
        """Count a handshake that got an HTTP error."""
        self._handshakes.labels(reason).inc()

    def _admit(self, request: Request) -> EdgeApp:
        """Find the app that a client may connect to.

        Raises:
            CloseError: It may not connect.
        """
        app = self._apps.find(parse_target(request.path))
        app.admit(request.headers.get("Origin"), needs_origin=self._needs_origin)
        if len(self._hub) >= self._max_connections:
            raise OverCapacityError("the server has too many connections")
        if self._outages.bus_away_for_long:
            raise OverCapacityError("the server cannot reach the bus")
        return app

    def _new_socket_id(self) -> str:
        while True:
            socket_id = make_socket_id(secrets.randbits(64))
            if not self._hub.is_taken(socket_id):
                return socket_id
