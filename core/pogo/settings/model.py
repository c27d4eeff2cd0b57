"""Every setting: its type, its default, its unit, and why.

The groups exist for the reader; `Settings` is flat, because its names are also those of the
environment variables. Sizes are bytes, spans of time are seconds. Limits hold for one process,
unless they say otherwise.
"""

from collections import Counter
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from pogo.settings.app import App
from pogo.settings.auth import AuthSettings
from pogo.settings.bus import BusSettings
from pogo.settings.development import EnvironmentSettings
from pogo.settings.group import Group
from pogo.settings.tls import TlsSettings
from pogo.settings.values import (
    Count,
    Duration,
    NetworkList,
    Port,
    Rate,
    Text,
    TextList,
    Workers,
    format_duration,
)
from pogo.settings.webhooks import WebhookSettings


class AppSettings(Group):
    """Applications."""

    apps: tuple[App, ...] = ()
    """The applications served, each an `[[apps]]` table. They are read again on SIGHUP."""

    @field_validator("apps")
    @classmethod
    def _distinct(cls, apps: tuple[App, ...]) -> tuple[App, ...]:
        problems = [
            f"{count} apps have the {field} {value!r}"
            for field in ("id", "key")
            for value, count in Counter(getattr(app, field) for app in apps).items()
            if count > 1
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return apps


class ListenSettings(Group):
    """Addresses. Port 0 takes any free port, which is printed."""

    host: Text = "127.0.0.1"
    """Where WebSocket, HTTP and gRPC listen. The default is reachable from this machine only."""

    port: Port = 8080
    """WebSocket and HTTP."""

    workers: Workers = 1
    """Processes of one `pogo edge` that share its port, each an edge of its own, with limits of its
    own; 0, or `auto`, is one for each CPU that they may use. Other services have one process."""

    grpc_port: Port = 50_051
    """gRPC, for back ends that publish."""

    metrics_host: Text = "127.0.0.1"
    """Where `/metrics` listens: apart from `host`, because metrics are not for the public."""

    metrics_port: Port = 9464
    """Prometheus metrics; 9464 is the port registered for OpenTelemetry's exporter."""


class HandshakeSettings(Group):
    """Who may connect."""

    allowed_origins: TextList = ("*",)
    """Origins that may connect, for apps that name none themselves; `*` is any."""

    trusted_proxies: NetworkList = ()
    """Networks of your proxies: their `X-Forwarded-For` is believed, and the PHP worker gets their
    `X-Forwarded-*`. None by default, since anyone can send these."""

    handshake_rate: Rate = 100.0
    """New connections per second and remote IP; negative is unlimited, as a load test from one
    address needs."""

    handshake_burst: Count = 50
    """New connections from one remote IP that may come at once."""

    handshake_timeout: Duration = 10.0
    """How long a client may take to send its handshake, and before it for that of TLS."""

    max_connections: Count = 10_000
    """Connections to one edge, of all apps together. Each costs some kilobytes and a descriptor:
    raise `ulimit -n` with it."""


class ConnectionSettings(Group):
    """What one connection may do."""

    max_message_size: Count = 32_768
    """Bytes of one message from a client."""

    message_rate: Rate = 50.0
    """Messages per second from one client; negative is unlimited."""

    message_burst: Count = 100
    """Messages from one client that may come at once: a page subscribes to all it has at once."""

    client_event_rate: Rate = 10.0
    """`client-` events per second from one client, Pusher's own limit; negative is unlimited."""

    max_subscriptions: Count = 1000
    """Channels that one connection may be subscribed to."""

    max_write_buffer: Count = 1_048_576
    """Bytes that may wait for one client that reads slowly."""

    slow_consumer: Literal["close", "drop"] = "close"
    """What happens when they are too many: `close` the client with 4100, so that it comes back
    and knows, or `drop` its events, those of presence channels too."""

    ping_period: Duration = 54.0
    """Silence after which a client is pinged: nine tenths of `pong_wait`."""

    pong_wait: Duration = 60.0
    """Silence after which a client is closed with 4201. Longer than `ping_period`."""

    write_wait: Duration = 10.0
    """How long a write to a client may make no progress before the client is dropped."""

    shutdown_timeout: Duration = 10.0
    """Over how long a stopping edge spreads the closing of its clients, and how long a stopping
    broker may take to publish what it accepted."""

    @field_validator("pong_wait")
    @classmethod
    def _after_the_ping(cls, pong_wait: float, info: ValidationInfo) -> float:
        ping_period = info.data.get("ping_period")
        if ping_period is not None and pong_wait <= ping_period:
            raise ValueError(
                f"{format_duration(pong_wait)} should be longer than ping_period, "
                f"{format_duration(ping_period)}"
            )
        return pong_wait


class ChannelSettings(Group):
    """Channels and events. The defaults are Pusher's limits, or what its SDKs let pass."""

    max_channel_length: int = Field(default=200, gt=0, le=800)
    """Characters of a channel's name. What the bus makes of a longer one could be too long."""

    max_event_length: Count = 200
    """Characters of an event's name."""

    max_payload: Count = 262_144
    """Bytes of one event's data."""

    max_channels: Count = 100
    """Channels of one BroadcastMulti, and of one event in the HTTP API."""

    max_batch: Count = 1000
    """Events of one PublishBatch."""

    max_http_batch: Count = 10
    """Events of one batch in the HTTP API."""

    max_channel_backlog: Count = 16_777_216
    """Bytes of events that may wait to be written to the subscribers of one channel on one edge.
    More are dropped, and counted: the channel has more events than this edge can write."""

    max_presence_members: Count = 100
    """Members of one presence channel."""

    max_presence_data: Count = 2048
    """Bytes of what a presence channel knows of one member."""

    cache_ttl: int = Field(default=1800, ge=1, le=9999)
    """Seconds for which a cache channel remembers its last event: Pusher's 30 minutes."""

    cache_bytes: Count = 134_217_728
    """Bytes of memory that the events of cache channels may take, on each NATS server that holds
    them or with the bus in memory. An event that finds no place is refused, with status 6. In
    Redis, its own `maxmemory` counts."""


class BrokerSettings(Group):
    """Queues between a broker's callers and the bus."""

    num_workers: Count = 2
    """Shard workers that publish at a time. Each broker process has its own; more of them help
    only while the bus is slow to confirm, since one process has one event loop."""

    num_shards: Count = 8
    """Ordered queues of one broker; a channel always uses the same one."""

    broker_queue_size: Count = 1024
    """Events queued in one broker, in all shards together. Above: status 8."""

    broker_queue_bytes: Count = 67_108_864
    """Their bytes. Above: status 8."""

    shard_queue_size: Count = 1024
    """Events queued in one shard. Above: status 9."""

    shard_queue_bytes: Count = 33_554_432
    """Their bytes. Above: status 9."""

    message_id_wait: Duration = 1.5
    """How long a call waits that repeats the `message_id` of one under way; then it gets status 6.
    Never longer than the caller's own deadline."""

    message_id_bytes: Count = 268_435_456
    """Bytes of memory that the records of `message_id`s may take, on each NATS server that holds
    them or with the bus in memory: some 300 for each call of the last five minutes. More is
    refused, with status 6. In Redis, its own `maxmemory` counts."""


class LogSettings(Group):
    """Logging."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """`json` writes one object a line; `auto` is `console` on a terminal, and else `json`."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""


GROUPS: tuple[type[BaseModel], ...] = (
    EnvironmentSettings,
    AppSettings,
    BusSettings,
    ListenSettings,
    TlsSettings,
    HandshakeSettings,
    ConnectionSettings,
    ChannelSettings,
    BrokerSettings,
    AuthSettings,
    WebhookSettings,
    LogSettings,
)
"""In the order in which people should meet them."""


class Settings(
    LogSettings,
    WebhookSettings,
    AuthSettings,
    BrokerSettings,
    ChannelSettings,
    ConnectionSettings,
    HandshakeSettings,
    TlsSettings,
    ListenSettings,
    BusSettings,
    AppSettings,
    EnvironmentSettings,
):
    """All settings of all services, as `load_settings` merged them from their sources."""
