"""What a soak does: which channels there are, and what each client does with them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_USERS = 100
"""Fewer than there are clients, so that some users are there several times."""

_ROOMS = 20
"""Channels of each kind."""

_PREFIXES = ("news-", "private-room-", "presence-room-", "cache-price-", "private-cache-price-")
_TALKATIVE = ("private-room-", "presence-room-")
_OWN = "private-App.Models.User."
"""Each user's channel of their own, as Laravel applications have."""

_JOINS = 0.6
"""The chance that a client subscribes to a channel of a kind."""

_SIGNS_IN = 0.25
_LEAVES_CLEANLY = 0.5


@dataclass(frozen=True, slots=True)
class Visit:
    """What one client does, from coming to leaving."""

    user: str
    channels: Sequence[str]
    seconds: float
    """How long it stays."""
    signs_in: bool
    leaves_cleanly: bool
    """With a closing handshake; else its connection just ends, as on a phone that loses its net."""

    @property
    def talks_on(self) -> Sequence[str]:
        """The channels that it may send client events on."""
        return [name for name in self.channels if name.startswith(_TALKATIVE)]


class Plan:
    """Draws all that is left to chance, from one seed."""

    def __init__(self, seed: int, stay: float) -> None:
        """Have clients stay for so many seconds on average."""
        self._random = random.Random(seed)  # noqa: S311 - a load, not secrets
        self._stay = stay

    def visit(self) -> Visit:
        """Draw what the next client does."""
        draw = self._random
        user = f"user-{draw.randrange(_USERS)}"
        rooms = [self._room(prefix) for prefix in _PREFIXES if draw.random() < _JOINS]
        return Visit(
            user,
            [*rooms, _OWN + user],
            draw.expovariate(1 / self._stay),
            draw.random() < _SIGNS_IN,
            draw.random() < _LEAVES_CLEANLY,
        )

    def channel(self) -> str:
        """Draw a channel to publish to; now and then nobody is there."""
        prefix = self._random.choice((*_PREFIXES, _OWN))
        return (
            f"{_OWN}user-{self._random.randrange(_USERS)}" if prefix == _OWN else self._room(prefix)
        )

    def gap(self, rate: float) -> float:
        """Draw the seconds until the next of events that are independent, so many a second."""
        return self._random.expovariate(rate)

    def number(self, below: int) -> int:
        """Draw a number."""
        return self._random.randrange(below)

    def _room(self, prefix: str) -> str:
        return f"{prefix}{self._random.randrange(_ROOMS)}"
