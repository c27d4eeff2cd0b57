"""Who listens to what in this process: the same table for every adapter."""

from collections.abc import Iterator

import structlog

from pogo.bus.interface import Handler
from pogo.bus.limits import MAX_SUBJECT

log = structlog.get_logger()


class HandlerSubscription:
    """One handler's interest in one subject."""

    __slots__ = ("handler", "interest")

    def __init__(self, interest: "Interest", handler: Handler) -> None:
        self.interest = interest
        # `None` once it was ended.
        self.handler: Handler | None = handler

    @property
    def subject(self) -> str:
        """The subject subscribed to."""
        return self.interest.subject


class Interest:
    """One subject that somebody listens to; the server is told of it once."""

    __slots__ = ("number", "subject", "subscriptions")

    def __init__(self, number: int, subject: str) -> None:
        # Never used twice in one table.
        self.number = number
        self.subject = subject
        self.subscriptions: tuple[HandlerSubscription, ...] = ()


class Subscriptions:
    """All subscriptions of one bus. It costs one small object for each, and no task."""

    def __init__(self) -> None:
        self._interests: dict[str, Interest] = {}
        self._numbers = 0

    def __iter__(self) -> Iterator[Interest]:
        return iter(self._interests.values())

    def get(self, subject: str) -> Interest | None:
        """Return the interest in a subject, if there is any."""
        return self._interests.get(subject)

    def add(self, subject: str, handler: Handler) -> tuple[HandlerSubscription, bool]:
        """Subscribe; also tell whether it is the first subscription of its subject.

        Raises:
            ValueError: The subject is longer than `MAX_SUBJECT`.
        """
        if len(subject) > MAX_SUBJECT:
            raise ValueError(f"the subject has {len(subject)} characters, over {MAX_SUBJECT}")
        interest = self._interests.get(subject)
        is_first = interest is None
        if interest is None:
            self._numbers += 1
            interest = self._interests[subject] = Interest(self._numbers, subject)
        subscription = HandlerSubscription(interest, handler)
        interest.subscriptions += (subscription,)
        return subscription, is_first

    def remove(self, subscription: HandlerSubscription) -> bool:
        """Unsubscribe, and tell whether it was the last subscription of its subject. Idempotent."""
        if subscription.handler is None:
            return False
        subscription.handler = None
        interest = subscription.interest
        interest.subscriptions = tuple(s for s in interest.subscriptions if s is not subscription)
        if interest.subscriptions:
            return False
        del self._interests[interest.subject]
        return True


def deliver(interest: Interest, payload: bytes) -> None:
    """Pass one message to the handlers; what one of them raises is logged and harms no other."""
    for subscription in interest.subscriptions:
        handler = subscription.handler
        if handler is None:  # ended by a handler before it
            continue
        try:
            handler(payload)
        except Exception:
            # A safety net: handlers promise not to raise, and a bus that stopped here would be
            # deaf for everyone.
            log.exception("bus handler failed", subject=interest.subject)
