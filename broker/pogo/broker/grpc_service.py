"""The gRPC front: `pogo.rpc.v1.Broker`, as `broker.proto` describes it."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import grpc

from pogo.broker.apps import AppDirectory
from pogo.broker.auth import AuthenticationError, Authenticator
from pogo.broker.events import Event, parse_channels
from pogo.broker.message_ids import MAX_LENGTH, ConflictError
from pogo.broker.publisher import Publisher
from pogo.broker.rates import AppRates, count_messages
from pogo.broker.repeats import Repeats
from pogo.broker.status import Outcome
from pogo.rpc.v1 import broker_pb2, broker_pb2_grpc
from pogo.rpc.v1.status import StatusCode
from pogo.settings import App

_WIRE = {code: broker_pb2.Status.Value(f"STATUS_{code.name}") for code in StatusCode}

REPLY_MARGIN = 0.1
"""Seconds before a caller's deadline at which a repeat does not wait any longer."""

RETRY_AFTER = "retry-after-ms"
"""The trailing metadata that says when a call would not be refused for its app's rate any more."""

_Context = grpc.aio.ServicerContext[Any, Any]


class BrokerService(broker_pb2_grpc.BrokerServicer):
    """Answers publishers.

    What became of an event is in the reply. A gRPC error ends the calls that cannot have one:

    - UNAUTHENTICATED: the token is missing, wrong, or expired;
    - PERMISSION_DENIED: an event is for another app than the token's;
    - INVALID_ARGUMENT: a PublishBatch has more than `max_batch` events, or a message_id is too
      long;
    - ALREADY_EXISTS: a message_id was used for something else before;
    - RESOURCE_EXHAUSTED: the app has reached its `event_rate`. Nothing was published; the trailing
      metadata `retry-after-ms` says when the call would be let through.
    """

    def __init__(
        self,
        publisher: Publisher,
        repeats: Repeats,
        *,
        apps: AppDirectory,
        authenticator: Authenticator,
        rates: AppRates,
        max_batch: int,
        max_channels: int,
    ) -> None:
        self._publisher = publisher
        self._repeats = repeats
        self._rates = rates
        self._apps = apps
        self._authenticator = authenticator
        self._max_batch = max_batch
        self._max_channels = max_channels

    async def Publish(  # noqa: N802 (the contract's name)
        self, request: broker_pb2.PublishRequest, context: _Context
    ) -> broker_pb2.PublishReply:
        """Publish one event on one channel."""
        app = await self._authenticate(context)
        await self._require(context, app, (request.app_id,))
        [outcome] = await self._publish(context, app, [_event(request)])
        return _reply(outcome)

    async def BroadcastMulti(  # noqa: N802 (the contract's name)
        self, request: broker_pb2.BroadcastMultiRequest, context: _Context
    ) -> broker_pb2.PublishReply:
        """Publish one event on several channels."""
        app = await self._authenticate(context)
        await self._require(context, app, (request.app_id,))
        event = Event(
            request.app_id,
            parse_channels(request.channels),
            request.event,
            request.data,
            request.socket_id,
            request.message_id,
        )
        [outcome] = await self._publish(context, app, [event])
        return _reply(outcome)

    async def PublishBatch(  # noqa: N802 (the contract's name)
        self, request: broker_pb2.PublishBatchRequest, context: _Context
    ) -> broker_pb2.PublishBatchReply:
        """Publish many events, each with a status of its own."""
        # Nothing is done for each event before it is known who asks, and for how many.
        app = await self._authenticate(context)
        if len(request.events) > self._max_batch:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"a batch has at most {self._max_batch} events, not {len(request.events)}",
            )
        events = [_event(item) for item in request.events]
        await self._require(context, app, {event.app_id for event in events})
        outcomes = await self._publish(context, app, events, request.message_id)
        return broker_pb2.PublishBatchReply(replies=[_reply(outcome) for outcome in outcomes])

    async def _publish(
        self, context: _Context, app: App, events: Sequence[Event], message_id: str = ""
    ) -> list[Outcome]:
        """Publish, at most once what has a message id."""
        names = [event.message_id for event in events if event.message_id]
        if not names and not message_id:
            await self._limit(context, app, events)
            return await self._publisher.publish(events, json_data=True)
        if any(len(name.encode()) > MAX_LENGTH for name in (message_id, *names)):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"a message_id has at most {MAX_LENGTH} bytes"
            )
        await self._limit(context, app, events)
        remaining = context.time_remaining()
        try:
            return await self._repeats.publish(
                app.id,
                events,
                json_data=True,
                message_id=message_id,
                within=math.inf if remaining is None else remaining - REPLY_MARGIN,
            )
        except ConflictError as error:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, str(error))

    async def _limit(self, context: _Context, app: App, events: Sequence[Event]) -> None:
        """End the call if the app has published as much as it may."""
        if not self._rates.limits(app, "events"):
            return
        refusal = self._rates.take_events(app, count_messages(events, self._max_channels))
        if refusal is not None:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                refusal.detail,
                ((RETRY_AFTER, str(refusal.retry_after_ms)),),
            )

    async def _authenticate(self, context: _Context) -> App:
        """Tell whose token the call has, or end it."""
        authorization = ""
        for key, value in context.invocation_metadata() or ():
            if key == "authorization" and isinstance(value, str):
                authorization = value
        try:
            return self._authenticator.authenticate(authorization)
        except AuthenticationError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))

    async def _require(self, context: _Context, app: App, app_ids: Collection[str]) -> None:
        """End the call unless the app may publish to these; unknown ones get status 1."""
        for app_id in app_ids:
            if app_id != app.id and self._apps.by_id(app_id) is not None:
                await context.abort(
                    grpc.StatusCode.PERMISSION_DENIED, f"the token is not for the app {app_id}"
                )


def _event(request: broker_pb2.PublishRequest) -> Event:
    return Event(
        request.app_id,
        (request.channel,),
        request.event,
        request.data,
        request.socket_id,
        request.message_id,
    )


def _reply(outcome: Outcome) -> broker_pb2.PublishReply:
    return broker_pb2.PublishReply(status=_WIRE[outcome.status], detail=outcome.detail)
