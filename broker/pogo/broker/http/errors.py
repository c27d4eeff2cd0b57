"""Requests that are answered with something else than 200."""

from collections.abc import Mapping

from pogo.broker.status import Outcome
from pogo.rpc.v1.status import StatusCode

RETRY_AFTER = {"Retry-After": "1"}
"""Sent where the same request may be answered in a second."""

_HTTP_STATUS = {
    StatusCode.HUB_MISSING: 503,
    StatusCode.CHANNEL_TOO_LONG: 400,
    StatusCode.EVENT_TOO_LONG: 400,
    StatusCode.PAYLOAD_TOO_LARGE: 413,
    StatusCode.INVALID_PAYLOAD_JSON: 400,
    StatusCode.BROKER_PUBLISH_FAILED: 503,
    StatusCode.INVALID_MULTI_CHANNEL_JSON: 400,
    StatusCode.BROKER_QUEUE_FULL: 503,
    StatusCode.SHARD_QUEUE_FULL: 503,
}
"""A queue that is full is the server's trouble, so it is 503; 429 is for those over their rate."""

_RETRIED = {503}


class ApiError(Exception):
    """A request that is refused, or could not be done. The message goes to the caller.

    Args:
        status: The HTTP status.
        message: A sentence for people.
        headers: Sent with it.
        facts: Further fields of the JSON object that it is answered with.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.facts = facts or {}


class BadRequestError(ApiError):
    """A request that is not what the API takes."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


class UnauthorizedError(ApiError):
    """A request that is not signed by the app."""

    def __init__(self, message: str) -> None:
        super().__init__(401, message)


class NoPathError(ApiError):
    """A path where nothing is, or an app that there is not."""

    def __init__(self, message: str) -> None:
        super().__init__(404, message)


class TooLargeError(ApiError):
    """A body larger than what could be published; the publisher would call it status 4."""

    def __init__(self, limit: int) -> None:
        message = f"a body has at most {limit} bytes here"
        super().__init__(413, message, facts=_name(StatusCode.PAYLOAD_TOO_LARGE))


class UnavailableError(ApiError):
    """What the server cannot do now, and perhaps in a second."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message, RETRY_AFTER)


class PublishError(ApiError):
    """An event that the publisher did not publish, with its code.

    Args:
        outcome: What the publisher says.
        index: Which event of a batch it is.
    """

    def __init__(self, outcome: Outcome, index: int | None = None) -> None:
        message, facts = outcome.detail, _name(outcome.status)
        if index is not None:
            message = f"event {index} of the batch: {message}"
            facts["index"] = index
        status = _HTTP_STATUS[outcome.status]
        super().__init__(status, message, RETRY_AFTER if status in _RETRIED else None, facts)


def _name(code: StatusCode) -> dict[str, object]:
    return {"code": int(code), "status": code.name}
