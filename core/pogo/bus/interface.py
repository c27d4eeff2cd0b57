"""What every bus adapter is: the interface, its value types and its errors.

BusError
├── BusUnavailableError    the server is away, or did not confirm in time
├── BusRefusedError        the server answered that it will not take the message
├── BusQueueFullError      `post` found its outbox full
└── MessageTooLargeError   the payload is over `max_payload`, or the subject too long
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

Handler = Callable[[bytes], None]
"""Takes the payload of one message, on the event loop. It must not raise and must not block."""

StatusListener = Callable[[bool, str], None]
"""Takes whether the bus is connected, and why not (empty when it is)."""


class BusError(Exception):
    """The bus did not do what it was asked."""


class BusUnavailableError(BusError):
    """The server is away or did not answer in time: the message may or may not be delivered."""


class BusRefusedError(BusError):
    """The server refused the message, for want of permission or memory: it was not delivered."""


class BusQueueFullError(BusError):
    """The outbox of unconfirmed messages is full: the message was dropped."""


class MessageTooLargeError(BusError):
    """The payload or the subject is larger than the server takes: the message was not sent."""


class Message(NamedTuple):
    """One payload on its way to the subscribers of one subject.

    The subject comes from `channel_subject`: adapters write it to the wire as it is.
    """

    subject: str
    payload: bytes


class Subscription(Protocol):
    """A handler's interest in a subject, as `subscribe` returned it."""

    @property
    def subject(self) -> str:
        """The subject subscribed to."""


class Bus(Protocol):
    """One process's connection to the bus. Not thread-safe: it belongs to one event loop."""

    @property
    def connected(self) -> bool:
        """Whether the server is reachable as far as is known."""

    @property
    def max_payload(self) -> int:
        """The largest payload, in bytes, that the server takes."""

    async def start(self) -> None:
        """Connect, or begin trying to.

        Returns when the first attempt has succeeded or failed; after a failure the adapter keeps
        trying in the background and `connected` is false.

        Raises:
            BusError: The configuration can never work (a URL that cannot be parsed, say).
        """

    async def close(self) -> None:
        """Send what `post` has queued (for 1 s at most), and disconnect for good. Idempotent."""

    def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Pass the payload of every message on `subject` to `handler`.

        Takes effect at the server by the next `flush` that succeeds. Several subscriptions of one
        subject each get every message. May be called while disconnected: all subscriptions are
        restored before the bus counts as connected again.

        Raises:
            ValueError: The subject is longer than 3,000 characters.
        """

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription: its handler is not called again. Idempotent."""

    async def flush(self) -> None:
        """Wait until the server has every `subscribe` and `unsubscribe` made before this call.

        A subject that the server does not let us subscribe to (its permissions) is logged and
        counted by the adapter, and is not reported here.

        Raises:
            BusUnavailableError: Not confirmed within 1 s, or disconnected meanwhile.
        """

    async def publish(self, messages: Sequence[Message]) -> list[BusError | None]:
        """Publish in order and wait for the server to confirm.

        Returns one item per message: `None` where the server has it, else why not. Takes 1 s at
        the most; while disconnected, no time at all.
        """

    def post(self, message: Message) -> None:
        """Publish one message without waiting to learn whether the server got it.

        The outbox is bounded in messages and bytes, and is not kept across a disconnect.

        Raises:
            BusUnavailableError: Not connected.
            BusQueueFullError: The outbox is full; the message was dropped.
            MessageTooLargeError: The payload is over `max_payload`.
        """

    def add_status_listener(self, listener: StatusListener) -> None:
        """Call `listener` whenever `connected` changes, on the event loop; it must not raise."""
