"""What became of an event: one of the ten codes, and a sentence for people."""

from dataclasses import dataclass

from pogo.rpc.v1.status import StatusCode


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one event."""

    status: StatusCode
    detail: str = ""
    """What was wrong, for people; empty on success."""
    in_doubt: bool = False
    """Whether the event may be on the bus although this is no success."""


SUCCESS = Outcome(StatusCode.SUCCESS)
