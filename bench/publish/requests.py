"""What callers send: written before anything is measured, and sent again and again."""

import hashlib
import hmac
import json
import time
from enum import Enum

from pogo.client.config import Configuration
from pogo.client.tokens import TokenMinter
from pogo.rpc.v1 import broker_pb2

DATA_BYTES = 200
CHANNELS = 100
"""As many as a BroadcastMulti may have by default."""

_EVENT = "event"
_VARIANTS = 100
"""Different requests of one kind."""


class Kind(Enum):
    """What is called."""

    UNARY = "Publish"
    BROADCAST = "BroadcastMulti"
    BATCH = "PublishBatch"
    HTTP = "HTTP"

    @property
    def events(self) -> int:
        """Messages that one call puts on the bus."""
        return CHANNELS if self in (Kind.BROADCAST, Kind.BATCH) else 1


def grpc_messages(kind: Kind, app: str) -> list[bytes]:
    """Write requests of one kind, each a gRPC message."""
    count = 1 if kind is Kind.BATCH else _VARIANTS
    return [_framed(_grpc_request(kind, app, number)) for number in range(count)]


def grpc_reply(kind: Kind) -> bytes:
    """Write the only reply to such a request that says that all went well."""
    fine = broker_pb2.PublishReply()
    if kind is Kind.BATCH:
        return _framed(broker_pb2.PublishBatchReply(replies=[fine] * CHANNELS).SerializeToString())
    return _framed(fine.SerializeToString())


def grpc_metadata(app: str, secret: str) -> tuple[tuple[str, str], ...]:
    """Say who calls, as Pogo's clients do."""
    return TokenMinter(Configuration("", app, app, secret)).metadata()


def http_requests(app: str, secret: str, host: str) -> list[bytes]:
    """Write requests that publish one event each, signed as every SDK signs."""
    return [_http_request(app, secret, host, number) for number in range(_VARIANTS)]


def _grpc_request(kind: Kind, app: str, number: int) -> bytes:
    if kind is Kind.BROADCAST:
        channels = json.dumps([_channel(index) for index in range(CHANNELS)])
        return broker_pb2.BroadcastMultiRequest(
            app_id=app, channels=channels, event=_EVENT, data=_data(number)
        ).SerializeToString()
    if kind is Kind.BATCH:
        events = [_publish_request(app, index) for index in range(CHANNELS)]
        return broker_pb2.PublishBatchRequest(events=events).SerializeToString()
    return _publish_request(app, number).SerializeToString()


def _publish_request(app: str, number: int) -> broker_pb2.PublishRequest:
    return broker_pb2.PublishRequest(
        app_id=app, channel=_channel(number), event=_EVENT, data=_data(number)
    )


def _channel(number: int) -> str:
    return f"bench-{number % CHANNELS}"


def _data(number: int) -> str:
    """Write JSON text of `DATA_BYTES`."""
    return f'"{number:0{DATA_BYTES - 2}}"'


def _framed(message: bytes) -> bytes:
    """Write a message as gRPC has it: not compressed, its length, the message."""
    return b"\0" + len(message).to_bytes(4) + message


def _http_request(app: str, secret: str, host: str, number: int) -> bytes:
    content = {"name": _EVENT, "channels": [_channel(number)], "data": _data(number)}
    body = json.dumps(content).encode()
    path = f"/apps/{app}/events"
    query = (
        f"auth_key={app}&auth_timestamp={time.time():.0f}&auth_version=1.0"
        f"&body_md5={hashlib.md5(body, usedforsecurity=False).hexdigest()}"
    )
    signed = f"POST\n{path}\n{query}".encode()
    signature = hmac.digest(secret.encode(), signed, "sha256").hex()
    head = (
        f"POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\n"
        f"Host: {host}\r\nContent-Type: application/json\r\n"
        f"User-Agent: pusher-bench\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
