import pytest

from pogo.broker.call import Call
from pogo.broker.queues import (
    BROKER_QUEUE_FULL,
    SHARD_QUEUE_FULL,
    Limits,
    Shard,
    ShardQueues,
)
from pogo.broker.status import SUCCESS, Outcome
from pogo.bus import Message
from pogo.rpc.v1.status import StatusCode

PLENTY = 1_000_000
FAILED = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "because")
LATER = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "because of something else")


def make_queues(
    *,
    shard_messages: int = PLENTY,
    shard_bytes: int = PLENTY,
    broker_messages: int = PLENTY,
    broker_bytes: int = PLENTY,
    shards: int = 4,
) -> ShardQueues:
    """Make queues with room for all but what is given."""
    return ShardQueues(
        shards, 2, Limits(shard_messages, shard_bytes, broker_messages, broker_bytes)
    )


def subject_of(queues: ShardQueues, number: int) -> str:
    """Find a subject that the queues put in this shard."""
    for candidate in range(1000):
        probe = make_queues(shards=len(queues.shards))
        probe.enqueue([Message(f"s{candidate}", b"")], Call(1, 0.0), 0)
        if probe.shards[number].queue:
            return f"s{candidate}"
    raise AssertionError(f"no subject for shard {number}")


def offer(queues: ShardQueues, *messages: tuple[int, bytes]) -> Outcome | None:
    """Offer one event whose messages are given by shard and payload."""
    return queues.enqueue(
        [Message(subject_of(queues, shard), payload) for shard, payload in messages],
        Call(1, 0.0),
        0,
    )


def depth(shard: Shard) -> tuple[int, int, int]:
    """Return what the shard counts, in messages and bytes, and what really waits."""
    return shard.load.messages, shard.load.bytes, len(shard.queue)


def test_a_full_shard_is_told_from_a_full_broker() -> None:
    """The shard is judged first, so a hot channel is 9 even where the broker is full too."""
    queues = make_queues(shard_messages=2, broker_messages=3)

    assert [None, None, SHARD_QUEUE_FULL] == [offer(queues, (0, b"a")) for _ in range(3)]
    assert [None, BROKER_QUEUE_FULL] == [offer(queues, (1, b"a")) for _ in range(2)]
    assert SHARD_QUEUE_FULL == offer(queues, (0, b"a"))


def test_bytes_are_bounded_too() -> None:
    """Few large messages fill a queue like many small ones."""
    queues = make_queues(shard_bytes=10, broker_bytes=15)

    assert offer(queues, (0, b"x" * 10)) is None
    assert SHARD_QUEUE_FULL == offer(queues, (0, b"x"))
    assert BROKER_QUEUE_FULL == offer(queues, (1, b"x" * 6))
    assert offer(queues, (1, b"x" * 5)) is None


@pytest.mark.parametrize(
    ("queues", "refusal"),
    [
        (make_queues(shard_messages=1), SHARD_QUEUE_FULL),
        (make_queues(shard_bytes=3), SHARD_QUEUE_FULL),
        (make_queues(broker_messages=3), BROKER_QUEUE_FULL),
        (make_queues(broker_bytes=7), BROKER_QUEUE_FULL),
    ],
)
def test_a_broadcast_is_queued_whole_or_not_at_all(queues: ShardQueues, refusal: Outcome) -> None:
    """Where one shard or the broker has no room, no other shard keeps anything of the event."""
    assert offer(queues, (2, b"ab")) is None

    before = [depth(shard) for shard in queues.shards]

    assert refusal == offer(queues, (0, b"ab"), (1, b"ab"), (2, b"ab"))
    assert before == [depth(shard) for shard in queues.shards]
    assert (1, 2) == (queues.load.messages, queues.load.bytes)


def test_a_broadcast_may_need_one_shard_twice() -> None:
    """Two channels of one shard need room for two."""
    queues = make_queues(shard_messages=1)

    assert SHARD_QUEUE_FULL == offer(queues, (0, b"a"), (0, b"b"))
    assert offer(queues, (0, b"a"), (1, b"b")) is None


async def test_room_is_free_again_once_answered() -> None:
    """A message counts until it is answered, also while it is in flight."""
    queues = make_queues(shard_messages=1)
    offer(queues, (0, b"a"))
    item = queues.shards[0].queue.popleft()

    assert SHARD_QUEUE_FULL == offer(queues, (0, b"a"))

    queues.answer(item, None)
    await queues.emptied()

    assert [(0, 0, 0)] * 4 == [depth(shard) for shard in queues.shards]
    assert offer(queues, (0, b"a")) is None


async def test_the_first_failure_is_the_outcome() -> None:
    """An event on several channels succeeds where all do; each event has an outcome of its own."""
    call = Call(3, 0.0)
    call.expect(4)
    call.refuse(2, LATER)
    call.settle(0, None)
    call.settle(1, None)
    call.settle(1, FAILED)
    call.settle(1, LATER)

    assert [SUCCESS, FAILED, LATER] == await call.answered()
