"""One connection: a WebSocket, and the conversation in the Pusher protocol over it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, assert_never

from pogo.edge.apps import EdgeApp
from pogo.edge.framing import FramedSocket, FramingServices
from pogo.edge.websocket import frame_text
from pogo.pusher.errors import CloseError, OverCapacityError, PusherError
from pogo.pusher.events import (
    AuthenticationNeeded,
    AuthorizationNeeded,
    ClientEventReceived,
    Event,
    Reply,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.pusher.protocol import PusherProtocol, error_messages
from pogo.pusher.states import ConnectionState


class ConnectionOwner(Protocol):
    """What a connection asks of the hub."""

    def subscribe(self, connection: "Connection", event: SubscriptionRequested) -> None:
        """See to a subscription that the protocol admitted."""

    def unsubscribe(self, connection: "Connection", event: SubscriptionCancelled) -> None:
        """End one."""

    def ask(
        self, connection: "Connection", event: AuthorizationNeeded | AuthenticationNeeded
    ) -> None:
        """Ask the application on behalf of a client, which is told in a later turn."""

    def signed_in(self, connection: "Connection", event: SignedIn) -> None:
        """See to a user whom the protocol has let in; the client knows."""

    def client_event(self, connection: "Connection", event: ClientEventReceived) -> None:
        """Pass a client's message on.

        Raises:
            PusherError: It cannot be passed on.
        """

    def leave(self, connection: "Connection") -> None:
        """Forget a connection that is closing: nothing is delivered to it any more."""

    def lost(self, connection: "Connection") -> None:
        """Forget a connection whose socket is gone."""


@dataclass(frozen=True, slots=True)
class Services(FramingServices):
    """What all connections of an edge share."""

    owner: ConnectionOwner


class Connection(FramedSocket):
    """A connection after its handshake, until its socket is gone."""

    __slots__ = ("app", "protocol")

    _services: Services

    def __init__(
        self,
        transport: asyncio.Transport,
        services: Services,
        app: EdgeApp,
        protocol: PusherProtocol,
    ) -> None:
        """Take a socket over from the handshake, which then says `establish` or `refuse`."""
        super().__init__(transport, services)
        self.app = app
        self.protocol = protocol

    @property
    def socket_id(self) -> str:
        """The id that the protocol knows the connection by."""
        return self.protocol.socket_id

    def establish(self, response: bytes) -> None:
        """Accept the handshake with this HTTP response, and open the conversation."""
        self.take_over()
        self._services.metrics.messages_out += 1
        self.send(response + frame_text(self.protocol.establish()))
        limits = self._services.limits
        self._services.sweeper.schedule(self, self._heard_at + limits.ping_period)

    def refuse(self, response: bytes, error: CloseError) -> None:
        """Accept the handshake, since a browser learns nothing from an HTTP error, and close."""
        self.take_over()
        self._close(error, response)

    # What is sent

    def send_message(self, message: bytes) -> None:
        """Send one text message to this client alone."""
        self._services.metrics.messages_out += 1
        self.send(frame_text(message))

    def overflowed(self, events: int) -> None:
        """Close a client that reads too slowly, or let it miss something: as the settings say."""
        metrics = self._services.metrics
        if self._services.limits.drop_when_slow:
            metrics.dropped_by_drop += events
        else:
            metrics.dropped_by_close += events
            self.give_up()

    def give_up(self) -> None:
        """Close a client that reads too slowly."""
        self.close(OverCapacityError("the client reads too slowly"))

    def report(self, error: PusherError) -> None:
        """Tell the client what it cannot have."""
        self._services.metrics.errors.labels(str(error.code)).inc()
        for message in error_messages(error):
            self.send_message(message)

    # What is received

    def message_received(self, message: bytes, now: float) -> None:
        """Act on a text message.

        Raises:
            PusherError: The client asked for something it cannot have, or is to be closed.
        """
        self._services.metrics.messages_in += 1
        self._act(self.protocol.receive(message, now))

    def frame_received(self, now: float) -> None:
        """Count a frame that is not a whole message, but costs as much.

        Raises:
            OverCapacityError: There are too many.
        """
        self.protocol.charge(now)

    def resume(self, step: Callable[[], Event | None]) -> None:
        """Go on with what had to wait for the application, unless the client is leaving."""
        if self.closing or self.protocol.state is ConnectionState.CLOSED:
            return
        try:
            self._act(step())
        except PusherError as error:
            self.fail(error)

    def _act(self, event: Event | None) -> None:
        """Do what a message amounts to."""
        services = self._services
        match event:
            case None:
                pass
            case ClientEventReceived():
                services.owner.client_event(self, event)
            case Reply():
                self.send_message(event.message)
            case SubscriptionRequested():
                services.owner.subscribe(self, event)
            case SubscriptionCancelled():
                services.owner.unsubscribe(self, event)
            case AuthorizationNeeded() | AuthenticationNeeded():
                services.owner.ask(self, event)
            case SignedIn():
                self.send_message(event.message)
                if event.excess is not None and not self.closing:
                    self.report(event.excess)
                # The answer may have been the last straw.
                if not self.closing:
                    services.owner.signed_in(self, event)
            case _:
                assert_never(event)

    # The end

    def fail(self, error: PusherError) -> None:
        """Tell the client what is wrong, and close if the error says so."""
        if isinstance(error, CloseError):
            self.close(error)
        else:
            self.report(error)

    def close(self, error: CloseError) -> None:
        """Tell the client why, close with the code, and wait for it to go. Idempotent."""
        if not self.closing and self.protocol.state is not ConnectionState.CLOSED:
            self._close(error, b"")

    def leave(self) -> None:
        """Leave all channels: nothing is delivered any more. Idempotent."""
        if self.protocol.state is not ConnectionState.CLOSED:
            self._services.owner.leave(self)
            self.protocol.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the socket, before anything else can get its descriptor."""
        try:
            super().connection_lost(exc)
        finally:
            self._services.owner.lost(self)

    def _close(self, error: CloseError, before: bytes) -> None:
        self._services.metrics.closed.labels(str(error.code)).inc()
        frames = [frame_text(message) for message in error_messages(error)]
        self.begin_close(error.code, error.message, b"".join([before, *frames]))
