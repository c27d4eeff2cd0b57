"""pusher-js and Laravel Echo as a test sees them: orders to give, and what came of them."""

from collections.abc import Sequence
from typing import Any

from tests.e2e.driver import Driver, Report

SUCCEEDED = "pusher:subscription_succeeded"


class PusherClient:
    """One pusher-js client, in Node or in Chromium (`where`)."""

    def __init__(self, driver: Driver, where: str, name: str, user: str) -> None:
        self.user = user
        self._driver = driver
        self._where = where
        self._name = name
        self._inbox = driver.inbox(name)

    def order(self, do: str, **arguments: Any) -> Any:
        """Have the client carry out a command of `clients.js`."""
        return self._driver.call(self._where, do, client=self._name, **arguments)

    @property
    def socket_id(self) -> str:
        """What the server calls this connection."""
        return str(self.order("socketId"))

    def take(self, event: str, channel: str | None = None) -> Report:
        """Wait for an event of a channel, or of the connection itself."""
        return self._inbox.take(event, channel)

    def events(self, channel: str | None = None) -> list[str]:
        """Name the events of a channel that came so far and were not taken."""
        return self._inbox.events(channel)

    def subscribe(self, channel: str, *, client_events: Sequence[str] = ()) -> None:
        """Ask for a channel, and for who sent those client events."""
        self.order("subscribe", channel=channel, clientEvents=list(client_events))

    def join(self, channel: str, *, client_events: Sequence[str] = ()) -> Any:
        """Subscribe, wait until it has succeeded and return the data that came with it."""
        self.subscribe(channel, client_events=client_events)
        return self.take(SUCCEEDED, channel).data

    def sign_in(self) -> None:
        """Sign the user in, and wait until what is meant for the user is subscribed to."""
        self.order("signin")
        self.take("pusher:signin_success")
        self.take("pusher_internal:subscription_succeeded", f"#server-to-user-{self.user}")

    def trigger(self, channel: str, event: str, data: Any) -> None:
        """Send a client event."""
        self.order("trigger", channel=channel, event=event, data=data)


class EchoClient(PusherClient):
    """One Laravel Echo client. Its channels are named as in Echo, without their prefix."""

    def listen(
        self,
        kind: str,
        channel: str,
        *,
        events: Sequence[str] = (),
        whispers: Sequence[str] = (),
    ) -> None:
        """Listen on a channel by Echo's method `kind`, and wait until it is subscribed."""
        order = {"kind": kind, "channel": channel}
        self.order("listen", **order, events=list(events), whispers=list(whispers))
        self.take("subscribed", channel)

    def whisper(self, kind: str, channel: str, event: str, data: Any) -> None:
        """Send a client event as Echo does."""
        self.order("whisper", kind=kind, channel=channel, event=event, data=data)
