"""The client for programs without an event loop."""

import threading
from collections.abc import Iterable
from typing import Self, TypeVar

import grpc

from pogo.client import requests
from pogo.client.base import BaseClient
from pogo.client.requests import CHANNEL_OPTIONS, Event
from pogo.rpc.v1.broker_pb2_grpc import BrokerStub

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")


class Client(BaseClient):
    """Publishes events. Thread-safe; make one and keep it, since its connection stays open.

        client = Client()
        client.publish("news", "headline", {"title": "Hello"})

    It connects with the first call, so it can be made before a process forks its workers.
    """

    _channel: grpc.Channel | None = None
    _stub: BrokerStub | None = None
    # One for all clients: it is held only while a channel is made, which connects nothing yet.
    _connecting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way are cancelled. The next call opens it again."""
        with self._connecting:
            channel, self._channel, self._stub = self._channel, None, None
        if channel is not None:
            channel.close()

    def publish(
        self,
        channel: str,
        event: str,
        data: object,
        *,
        socket_id: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Publish one event on one channel; when this returns, the bus has it.

        Args:
            channel: The channel's name.
            event: The event's name.
            data: A `str` is JSON text already and travels untouched; anything else is encoded.
            socket_id: The connection that must not receive it.
            message_id: Names the event across retries.

        Raises:
            PublishError: It was not published, or not for certain.
            TypeError: The data cannot be encoded as JSON.
        """
        item = Event(channel, event, data, socket_id, message_id)
        request = requests.publish_request(self._app_id, item)
        requests.check_reply(self._call(self._broker.Publish, request))

    def broadcast(
        self,
        channels: Iterable[str],
        event: str,
        data: object,
        *,
        socket_id: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Publish one event on several channels: on all, or, where a queue is full, on none.

        Takes and raises what `publish` does.
        """
        request = requests.broadcast_request(
            self._app_id, channels, event, data, socket_id=socket_id, message_id=message_id
        )
        requests.check_reply(self._call(self._broker.BroadcastMulti, request))

    def publish_batch(self, events: Iterable[Event], *, message_id: str | None = None) -> None:
        """Publish many events in one call, in their order; when this returns, the bus has them all.

        Args:
            events: The events.
            message_id: Names the batch across retries; its events' own then only travel with them.

        Raises:
            PublishError: Some were not published, or not for certain: `outcomes` says which.
            TypeError: Some data cannot be encoded as JSON.
        """
        request = requests.batch_request(self._app_id, events, message_id)
        reply = self._call(self._broker.PublishBatch, request, batch_size=len(request.events))
        requests.check_batch_reply(reply)

    @property
    def _broker(self) -> BrokerStub:
        with self._connecting:
            if self._stub is None:
                self._channel = self._connect()
                self._stub = BrokerStub(self._channel)
            return self._stub

    def _connect(self) -> grpc.Channel:
        target, credentials = self._configuration.target, self._credentials()
        if credentials is None:
            return grpc.insecure_channel(target, CHANNEL_OPTIONS)
        return grpc.secure_channel(target, credentials, CHANNEL_OPTIONS)

    def _call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Reply]",
        request: _Request,
        *,
        batch_size: int | None = None,
    ) -> _Reply:
        try:
            return method(request, timeout=self._timeout, metadata=self._tokens.metadata())
        except grpc.RpcError as error:
            raise requests.call_error(error, batch_size) from error
        except ValueError as error:
            # What gRPC raises where another thread has closed the client.
            raise requests.unconfirmed(f"{requests.CLOSED}: {error}", batch_size) from error
