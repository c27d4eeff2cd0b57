"""The events of a call, grouped by what is answered together."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from pogo.broker.events import Event
from pogo.broker.message_ids import TOKEN_SIZE, Claim, ConflictError, Ending
from pogo.broker.status import Outcome

Answer = list[Outcome] | ConflictError | None
"""The outcomes of the events; `None` where another attempt may still have to give them."""

_FORGOTTEN = Ending(None, 0)


@dataclass(frozen=True, slots=True)
class Events:
    """What one call brought."""

    events: Sequence[Event]
    json_data: bool
    since: float
    """When it came, by the event loop's clock."""


class Group:
    """Events of a call that are answered together."""

    def __init__(self, indices: Sequence[int]) -> None:
        self.indices = indices
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def answer(self, answer: Answer) -> None:
        """Answer, unless that was done already."""
        if not self.answered.done():
            self.answered.set_result(answer)


class Named(Group):
    """Events that have a message id, and what one attempt does about it."""

    def __init__(
        self, key: str, message_id: str, indices: Sequence[int], fingerprint: bytes
    ) -> None:
        super().__init__(indices)
        self.key = key
        self.message_id = message_id
        self.claim = Claim(secrets.token_bytes(TOKEN_SIZE), fingerprint, len(indices))
        # The claim's, as far as is known.
        self.revision: int | None = None
        self.ending = _FORGOTTEN
        self.outcomes: Answer = None
        # Whether the publisher has had the events, and has counted them.
        self.is_published = False
        # Whether they were answered with what another attempt had recorded.
        self.is_repeat = False

    def again(self) -> "Named":
        """Return the same for another attempt."""
        return Named(self.key, self.message_id, self.indices, self.claim.fingerprint)
