from prometheus_client import CollectorRegistry, generate_latest

from pogo.broker.call import Call
from pogo.broker.metrics import BrokerMetrics
from pogo.broker.queues import Limits, ShardQueues
from pogo.broker.status import SUCCESS, Outcome
from pogo.bus import Message
from pogo.rpc.v1.status import StatusCode


def lines(registry: CollectorRegistry, name: str) -> list[str]:
    """Return the lines of one metric, where they are not zero."""
    page = generate_latest(registry).decode().splitlines()
    return [line for line in page if line.startswith(name) and not line.endswith(" 0.0")]


def test_the_names_that_users_know() -> None:
    """Failures and drops have Pogo's names; every reason is there from the start."""
    registry = CollectorRegistry()
    metrics = BrokerMetrics(registry)
    page = generate_latest(registry).decode()

    assert 'pogo_websocket_publish_failures_total{reason="shard_queue_full"} 0.0' in page
    assert 'pogo_websocket_broker_dropped_messages_total{reason="broker_queue_full"} 0.0' in page

    failure = Outcome(StatusCode.CHANNEL_TOO_LONG)
    metrics.answered([SUCCESS, failure, failure])
    metrics.drop("late", 3)
    metrics.committed(10, 0.001)

    assert ["pogo_websocket_publish_total 3.0"] == lines(registry, "pogo_websocket_publish_total")
    assert ['pogo_websocket_publish_failures_total{reason="channel_too_long"} 2.0'] == lines(
        registry, "pogo_websocket_publish_failures_total"
    )
    assert ['pogo_websocket_broker_dropped_messages_total{reason="late"} 3.0'] == lines(
        registry, "pogo_websocket_broker_dropped_messages_total"
    )
    assert ["pogo_websocket_publish_batch_messages_sum 10.0"] == lines(
        registry, "pogo_websocket_publish_batch_messages_sum"
    )
    assert ["pogo_websocket_publish_confirm_seconds_sum 0.001"] == lines(
        registry, "pogo_websocket_publish_confirm_seconds_sum"
    )


def test_gauges_read_the_queues() -> None:
    """What waits is read when somebody asks, and costs nothing until then."""
    registry = CollectorRegistry()
    queues = ShardQueues(1, 1, Limits(10, 100, 10, 100))
    BrokerMetrics(registry).watch(queues)
    queues.enqueue([Message("a", b"abc"), Message("b", b"de")], Call(1, 0.0), 0)

    assert ["pogo_websocket_broker_queue_messages 2.0"] == lines(
        registry, "pogo_websocket_broker_queue_messages"
    )
    assert ["pogo_websocket_broker_queue_bytes 5.0"] == lines(
        registry, "pogo_websocket_broker_queue_bytes"
    )
    assert ["pogo_websocket_broker_queue_limit_messages 10.0"] == lines(
        registry, "pogo_websocket_broker_queue_limit_messages"
    )
    assert ["pogo_websocket_broker_queue_limit_bytes 100.0"] == lines(
        registry, "pogo_websocket_broker_queue_limit_bytes"
    )
    assert ['pogo_websocket_shard_queue_messages{shard="0"} 2.0'] == lines(
        registry, "pogo_websocket_shard_queue_messages"
    )
