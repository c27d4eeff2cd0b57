"""What is counted: work that can be done again and again, and must be seen to be done."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class WorkError(Exception):
    """What was counted was not all of the work: the counts mean nothing."""


class Work(Protocol):
    """One path through a service. It does the same in each round."""

    name: str
    """Names it among the service's: `deliver-1`."""
    operation: str
    """What is counted: `a delivery to 1,000 subscribers`."""
    operations: int
    """How many operations one round has."""
    rounds: int
    """How many rounds make a run, so that it is long enough to be counted."""

    async def run(self, rounds: int) -> None:
        """Do so many rounds. All that happens here is counted."""

    async def settle(self, rounds: int) -> None:
        """See that these rounds did what they should, and make room for more. Is not counted.

        Raises:
            WorkError: They did not.
        """


Service = Callable[[], AbstractAsyncContextManager[Sequence[Work]]]
"""Starts a service, and yields the paths through it."""
