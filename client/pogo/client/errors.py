"""What can go wrong when publishing.

ValueError
└── ConfigurationError   there is no app to publish as; raised when a client is made
Exception
└── PublishError         an event was not published, or not for certain
"""

from dataclasses import dataclass

from pogo.rpc.v1.status import StatusCode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event of a batch."""

    code: StatusCode
    detail: str = ""
    """What was wrong, for people; empty on success."""


class ConfigurationError(ValueError):
    """No app to publish as was given, nor found in the environment or in a run file."""


class PublishError(Exception):
    """An event was not published, or not for certain.

    Attributes:
        code: One of the ten codes; `None` where the broker refused the call as a whole.
        name: The code's name, or gRPC's: `UNAUTHENTICATED` (the token is not accepted: the secret
            is wrong, or a clock), `PERMISSION_DENIED` (the app id is not that of the key),
            `INVALID_ARGUMENT` (a batch has too many events, or a message id too many bytes),
            `ALREADY_EXISTS` (the message id is that of something else) or `RESOURCE_EXHAUSTED`
            (too many bytes, or the app has reached its `event_rate`).
        detail: What was wrong, for people.
        outcomes: For a batch, what became of each event, in their order; empty where the call was
            refused as a whole.
        retry_after: Seconds until a call would be let through again, where the app has reached its
            `event_rate`; `None` for all other errors.
    """

    def __init__(
        self,
        code: StatusCode | None,
        name: str,
        detail: str,
        outcomes: tuple[Outcome, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, name, detail, outcomes, retry_after)
        self.code = code
        self.name = name
        self.detail = detail
        self.outcomes = outcomes
        self.retry_after = retry_after

    def __str__(self) -> str:
        number = "" if self.code is None else f" ({self.code.value})"
        return f"{self.name}{number}: {self.detail}"
