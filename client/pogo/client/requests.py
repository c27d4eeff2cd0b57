"""What both clients say to the broker, and what they make of its answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import grpc
import msgspec

from pogo.client.errors import Outcome, PublishError
from pogo.rpc.v1 import broker_pb2
from pogo.rpc.v1.status import StatusCode

CHANNEL_OPTIONS = (
    # Pings find a broker that vanished without a word; without calls too, so that the first call
    # after a quiet hour does not pay for it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC's own backoff grows to two minutes, far longer than a broker takes to restart.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

_REFUSED = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.ALREADY_EXISTS,
}
"""Errors by which a broker refuses a call as a whole."""

RETRY_AFTER = "retry-after-ms"
"""The trailing metadata of a call that was refused because the app has reached its rate."""

_TOO_LARGE = StatusCode.PAYLOAD_TOO_LARGE
CLOSED = "CANCELLED: the client was closed, or belongs to another event loop"
_UNCONFIRMED = StatusCode.BROKER_PUBLISH_FAILED


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a batch."""

    channel: str
    event: str
    data: object
    """A `str` is JSON text already and travels untouched; anything else is encoded as JSON."""
    socket_id: str | None = None
    """The connection that must not receive it."""
    message_id: str | None = None
    """Names the event across retries."""


def publish_request(app_id: str, event: Event) -> broker_pb2.PublishRequest:
    """Write one event.

    Raises:
        TypeError: The data cannot be encoded as JSON.
    """
    return broker_pb2.PublishRequest(
        app_id=app_id,
        channel=event.channel,
        event=event.event,
        data=json_text(event.data),
        socket_id=event.socket_id or "",
        message_id=event.message_id or "",
    )


def broadcast_request(
    app_id: str,
    channels: Iterable[str],
    event: str,
    data: object,
    *,
    socket_id: str | None,
    message_id: str | None,
) -> broker_pb2.BroadcastMultiRequest:
    """Write one event for several channels.

    Raises:
        TypeError: The data cannot be encoded as JSON, or the channels are one string.
    """
    if isinstance(channels, str):
        raise TypeError("channels is one string: pass a list of names")
    return broker_pb2.BroadcastMultiRequest(
        app_id=app_id,
        channels=json_text(list(channels)),
        event=event,
        data=json_text(data),
        socket_id=socket_id or "",
        message_id=message_id or "",
    )


def batch_request(
    app_id: str, events: Iterable[Event], message_id: str | None
) -> broker_pb2.PublishBatchRequest:
    """Write a batch.

    Raises:
        TypeError: Some data cannot be encoded as JSON.
    """
    return broker_pb2.PublishBatchRequest(
        events=[publish_request(app_id, event) for event in events], message_id=message_id or ""
    )


def json_text(data: object) -> str:
    """Return a `str` as it is, and anything else as JSON text.

    Raises:
        TypeError: It cannot be encoded as JSON.
    """
    try:
        if isinstance(data, str):
            data.encode()
            return data
        return msgspec.json.encode(data).decode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise TypeError(f"the data cannot be encoded as JSON: {error}") from error


def check_reply(reply: broker_pb2.PublishReply) -> None:
    """Accept the reply to one event.

    Raises:
        PublishError: It is not success.
    """
    outcome = _outcome(reply)
    if outcome.code:
        raise PublishError(outcome.code, outcome.code.name, outcome.detail)


def check_batch_reply(reply: broker_pb2.PublishBatchReply) -> None:
    """Accept the reply to a batch.

    Raises:
        PublishError: Any event of it failed; the code is that of the first one that did.
    """
    outcomes = tuple(map(_outcome, reply.replies))
    failed = [outcome for outcome in outcomes if outcome.code]
    if failed:
        first = failed[0]
        detail = f"{len(failed)} of {len(outcomes)} events failed, the first: {first.detail}"
        raise PublishError(first.code, first.code.name, detail, outcomes)


def call_error(error: grpc.RpcError, batch_size: int | None = None) -> PublishError:
    """Say what a call that ended with a gRPC error means.

    Args:
        error: What gRPC raised.
        batch_size: The number of events, where it was a batch.
    """
    kind, detail = error.code(), error.details() or ""
    if kind in _REFUSED:
        return PublishError(None, kind.name, detail)
    if kind is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in detail:
        if batch_size is not None:
            return PublishError(None, kind.name, f"the batch has too many bytes: {detail}")
        return PublishError(_TOO_LARGE, _TOO_LARGE.name, detail)
    if kind is grpc.StatusCode.RESOURCE_EXHAUSTED:
        retry_after = _retry_after(error)
        if retry_after is not None:
            return PublishError(None, kind.name, detail, retry_after=retry_after)
    return unconfirmed(f"{kind.name}: {detail}", batch_size)


def unconfirmed(detail: str, batch_size: int | None = None) -> PublishError:
    """Say that nobody knows what became of a call, and why: code 6, for each event of a batch."""
    outcome = Outcome(_UNCONFIRMED, detail)
    return PublishError(
        outcome.code, outcome.code.name, outcome.detail, (outcome,) * (batch_size or 0)
    )


def _retry_after(error: grpc.RpcError) -> float | None:
    """Return the seconds after which a broker would let a call through; `None` if it says none."""
    # The stubs have another type, which is no pair.
    pairs = cast("Iterable[tuple[str, str]]", error.trailing_metadata() or ())
    milliseconds = dict(pairs).get(RETRY_AFTER, "")
    return int(milliseconds) / 1000 if milliseconds.isdecimal() else None


def _outcome(reply: broker_pb2.PublishReply) -> Outcome:
    code = StatusCode(reply.status)
    detail = reply.detail
    if code is StatusCode.INVALID_PAYLOAD_JSON:
        detail += '; a str is sent as it is: pass json.dumps("text"), or a dict, instead of "text"'
    return Outcome(code, detail)
