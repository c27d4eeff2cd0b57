"""What a broker counts. Everything is updated once per call or batch, never per event."""

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pogo.broker.queues import Load, ShardQueues
from pogo.broker.status import Outcome
from pogo.rpc.v1.status import StatusCode

DropReason = Literal[
    "bus_down",
    "uncached",
    "shard_queue_full",
    "broker_queue_full",
    "late",
    "unconfirmed",
    "worker_died",
    "shutdown",
]
"""Why a message was lost: `late` is queued for too long, `uncached` not recorded although its
channel is a cache channel, `unconfirmed` what the bus says."""

DROP_REASONS: tuple[DropReason, ...] = get_args(DropReason)

RepeatOutcome = Literal["answered", "conflict", "unknown"]
"""What became of a repeat: `answered` as the first call was, refused as a `conflict` because the
first had another body, or the first's fate stayed `unknown` for as long as a repeat waits."""

RecordFailure = Literal["claim", "settle"]
"""What could not be recorded of a message id: that it is under way (then nothing is published), or
how it ended (then it counts as under way for some seconds more)."""

RateKind = Literal["events", "reads"]
"""What an app may have so many of in a second: what it publishes, and what it asks."""

BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
CONFIRM_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class BrokerMetrics:
    """The metrics of one broker, on the registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._published = Counter(
            "pogo_websocket_publish",
            "Events that callers handed in, and that were answered with any status.",
            registry=registry,
        )
        failures = Counter(
            "pogo_websocket_publish_failures",
            "Events that were answered with another status than success, by status.",
            ["reason"],
            registry=registry,
        )
        dropped = Counter(
            "pogo_websocket_broker_dropped_messages",
            "Valid messages (one per event and channel) that did not reach the bus for certain.",
            ["reason"],
            registry=registry,
        )
        repeats = Counter(
            "pogo_websocket_publish_repeats",
            "Message ids that had been used before, by what became of the repeat.",
            ["outcome"],
            registry=registry,
        )
        record_failures = Counter(
            "pogo_websocket_publish_record_failures",
            "Message ids of which something could not be recorded.",
            ["record"],
            registry=registry,
        )
        rate_limited = Counter(
            "pogo_websocket_rate_limited_calls",
            "Calls that were refused because their app had reached a rate, by what it limits.",
            ["kind"],
            registry=registry,
        )
        self._attempts = Gauge(
            "pogo_websocket_publish_attempts",
            "Calls with message ids whose records are not settled yet.",
            registry=registry,
        )
        self._queued = Gauge(
            "pogo_websocket_broker_queue_messages",
            "Messages that wait for the bus or its confirmation.",
            registry=registry,
        )
        self._queued_bytes = Gauge(
            "pogo_websocket_broker_queue_bytes",
            "The bytes of the messages that wait.",
            registry=registry,
        )
        self._max_queued = Gauge(
            "pogo_websocket_broker_queue_limit_messages",
            "Messages that may wait in this broker.",
            registry=registry,
        )
        self._max_queued_bytes = Gauge(
            "pogo_websocket_broker_queue_limit_bytes",
            "The bytes of messages that may wait in this broker.",
            registry=registry,
        )
        self._shard_queued = Gauge(
            "pogo_websocket_shard_queue_messages",
            "Messages that wait in one shard.",
            ["shard"],
            registry=registry,
        )
        self._bus_connected = Gauge(
            "pogo_websocket_broker_bus_connected",
            "1 while this broker reaches the bus.",
            registry=registry,
        )
        self._registry_connected = Gauge(
            "pogo_websocket_broker_registry_connected",
            "1 while this broker reaches the registry.",
            registry=registry,
        )
        self._batch_size = Histogram(
            "pogo_websocket_publish_batch_messages",
            "Messages published on the bus together, and confirmed together.",
            buckets=BATCH_SIZES,
            registry=registry,
        )
        self._confirm_seconds = Histogram(
            "pogo_websocket_publish_confirm_seconds",
            "How long the bus took to confirm a batch.",
            buckets=CONFIRM_SECONDS,
            registry=registry,
        )
        # Every reason is there from the start, so that its rate begins at zero.
        self._failures = {code: failures.labels(code.name.lower()) for code in StatusCode if code}
        self._repeats = {name: repeats.labels(name) for name in get_args(RepeatOutcome)}
        self._record_failures = {
            name: record_failures.labels(name) for name in get_args(RecordFailure)
        }
        self._rate_limited = {kind: rate_limited.labels(kind) for kind in get_args(RateKind)}
        self._dropped = {reason: dropped.labels(reason) for reason in DROP_REASONS}

    def answered(self, outcomes: Sequence[Outcome]) -> None:
        """Count the events of one call."""
        self._published.inc(len(outcomes))
        failed = [outcome.status for outcome in outcomes if outcome.status]
        if failed:
            for status, count in Tally(failed).items():
                self._failures[status].inc(count)

    def drop(self, reason: DropReason, messages: int) -> None:
        """Count messages that did not reach the bus for certain."""
        self._dropped[reason].inc(messages)

    def repeated(self, outcome: RepeatOutcome) -> None:
        """Count one message id that had been used before."""
        self._repeats[outcome].inc()

    def records_failed(self, record: RecordFailure, message_ids: int = 1) -> None:
        """Count message ids of which something could not be recorded."""
        self._record_failures[record].inc(message_ids)

    def rate_limited(self, kind: RateKind) -> None:
        """Count one call that an app's rate did not let through."""
        self._rate_limited[kind].inc()

    def watch_attempts(self, read: Callable[[], int]) -> None:
        """Let the gauge read how many attempts there are whenever it is asked."""
        self._attempts.set_function(read)

    def committed(self, messages: int, seconds: float) -> None:
        """Count one batch that the bus has answered."""
        self._batch_size.observe(messages)
        self._confirm_seconds.observe(seconds)

    def watch_servers(self, *, bus: Callable[[], bool], registry: Callable[[], bool]) -> None:
        """Let the gauges read whether these are reached whenever they are asked."""
        self._bus_connected.set_function(bus)
        self._registry_connected.set_function(registry)

    def watch(self, queues: ShardQueues) -> None:
        """Let the gauges read these queues whenever they are asked."""
        self._queued.set_function(lambda: queues.load.messages)
        self._queued_bytes.set_function(lambda: queues.load.bytes)
        self._max_queued.set(queues.load.max_messages)
        self._max_queued_bytes.set(queues.load.max_bytes)
        for prefix, shards in (("", queues.shards), ("cache-", queues.cache_shards)):
            for number, shard in enumerate(shards):
                gauge = self._shard_queued.labels(f"{prefix}{number}")
                gauge.set_function(partial(_messages, shard.load))


def _messages(load: Load) -> float:
    return load.messages
