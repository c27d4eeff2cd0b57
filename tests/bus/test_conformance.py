"""What every bus promises, on each adapter with a real server."""

import asyncio

import pytest
from structlog.testing import capture_logs

from pogo.bus import (
    Bus,
    BusQueueFullError,
    BusUnavailableError,
    Message,
    MessageTooLargeError,
    channel_subject,
)
from pogo.bus.limits import MAX_SUBJECT
from pogo.bus.outbox import MAX_BYTES, MAX_MESSAGES
from tests.bus.helpers import (
    SUBJECT,
    Inbox,
    Status,
    all_confirmed,
    messages,
    numbers,
    subscribe,
)


async def test_message_reaches_its_subscriber(bus: Bus, peer: Bus) -> None:
    """What one bus publishes, the other one's handler gets, byte for byte."""
    inbox = await subscribe(peer)

    assert await bus.publish(messages(b"\x00\r\n\xff")) == [None]
    assert await inbox.until(b"\x00\r\n\xff") == [b"\x00\r\n\xff"]


async def test_nothing_to_publish(bus: Bus) -> None:
    """An empty batch has no outcomes."""
    assert await bus.publish([]) == []


async def test_empty_payload(bus: Bus) -> None:
    """A message may be empty."""
    inbox = await subscribe(bus)

    assert await bus.publish(messages(b"")) == [None]
    assert await inbox.until(b"") == [b""]


async def test_order_within_a_batch(bus: Bus, peer: Bus) -> None:
    """A thousand messages of one batch arrive once each, and in order."""
    inbox = await subscribe(peer)
    payloads = numbers(1000)

    assert all_confirmed(await bus.publish(messages(*payloads)))
    assert await inbox.until(payloads[-1]) == payloads


async def test_order_of_posts_and_batches(bus: Bus, peer: Bus) -> None:
    """What is posted before a batch arrives before it."""
    inbox = await subscribe(peer)
    payloads = numbers(300)
    for start in range(0, 300, 3):
        posted, *batch = messages(*payloads[start : start + 3])
        bus.post(posted)
        assert all_confirmed(await bus.publish(batch))

    assert await inbox.until(payloads[-1]) == payloads


async def test_messages_keep_to_their_subject(bus: Bus, peer: Bus) -> None:
    """A handler gets the messages of its subject, once, and those of no other."""
    near = channel_subject("app", "room2")
    inbox, other = await subscribe(peer), await subscribe(peer, near)
    batch = [*messages(b"1"), *messages(b"2", subject=near), *messages(b"3")]

    assert all_confirmed(await bus.publish([*batch, *messages(b"end", subject=near)]))
    assert await other.until(b"end") == [b"2", b"end"]
    assert await inbox.until(b"3") == [b"1", b"3"]


async def test_several_handlers_of_one_subject(bus: Bus, peer: Bus) -> None:
    """Each of them gets every message, until it unsubscribes."""
    leaving, staying = Inbox(), Inbox()
    subscription = peer.subscribe(SUBJECT, leaving)
    peer.subscribe(SUBJECT, staying)
    await peer.flush()
    await bus.publish(messages(b"1"))
    await leaving.until(b"1")
    peer.unsubscribe(subscription)
    peer.unsubscribe(subscription)
    await peer.flush()
    await bus.publish(messages(b"2"))

    assert await staying.until(b"2") == [b"1", b"2"]
    assert leaving.payloads == [b"1"]
    assert subscription.subject == SUBJECT


async def test_unsubscribed_handler_is_not_called_again(bus: Bus, peer: Bus) -> None:
    """The last handler may leave and another come at once: only the new one is called."""
    old, new = Inbox(), Inbox()
    subscription = peer.subscribe(SUBJECT, old)
    await peer.flush()
    peer.unsubscribe(subscription)
    peer.subscribe(SUBJECT, new)
    await peer.flush()
    await bus.publish(messages(b"1"))

    assert await new.until(b"1") == [b"1"]
    assert old.payloads == []


async def test_handler_that_unsubscribes_another(bus: Bus) -> None:
    """A handler that was unsubscribed by one before it does not get that very message."""
    inbox = Inbox()
    bus.subscribe(SUBJECT, lambda _: bus.unsubscribe(second))
    second = bus.subscribe(SUBJECT, inbox)
    third = await subscribe(bus)
    await bus.publish(messages(b"1"))
    await third.until(b"1")

    assert inbox.payloads == []


async def test_flush_proves_the_subscription(bus: Bus, peer: Bus) -> None:
    """What is published right after a flush arrives, a hundred times out of a hundred."""
    for payload in numbers(100):
        subject = channel_subject("app", payload.decode())
        inbox = await subscribe(peer, subject)
        assert await bus.publish(messages(payload, subject=subject)) == [None]
        assert await inbox.until(payload) == [payload]


async def test_concurrent_publishers(bus: Bus, peer: Bus) -> None:
    """Many tasks publish on one bus: each call is confirmed, and each task's order is kept."""
    subjects = [channel_subject("app", f"room{number}") for number in range(20)]
    inboxes = [await subscribe(peer, subject) for subject in subjects]
    payloads = numbers(100)

    async def publish(subject: str) -> bool:
        batches = [payloads[start : start + 5] for start in range(0, 100, 5)]
        outcomes = [await bus.publish(messages(*batch, subject=subject)) for batch in batches]
        return all(all_confirmed(outcome) for outcome in outcomes)

    assert [True] * 20 == await asyncio.gather(*[publish(subject) for subject in subjects])
    for inbox in inboxes:
        assert await inbox.until(payloads[-1]) == payloads


async def test_oversized_message_among_good_ones(bus: Bus, peer: Bus) -> None:
    """The one that is too large is refused; the others go out."""
    inbox = await subscribe(peer)
    good = b"x" * bus.max_payload
    outcomes = await bus.publish(
        [
            *messages(b"1", good + b"x"),
            Message("x" * (MAX_SUBJECT + 1), b""),
            *messages(good, b"2"),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        MessageTooLargeError,
        MessageTooLargeError,
        type(None),
        type(None),
    ]
    assert await inbox.until(b"2") == [b"1", good, b"2"]


async def test_only_oversized_messages(bus: Bus) -> None:
    """A batch of which nothing can be sent is refused, message by message."""
    (outcome,) = await bus.publish(messages(b"x" * (bus.max_payload + 1)))

    assert isinstance(outcome, MessageTooLargeError)


async def test_any_channel_name_travels(bus: Bus, peer: Bus) -> None:
    """Names with spaces, dots, wildcards and other scripts reach their own subscribers only."""
    names = ["a b", "a.b", "a.*", "a.>", "*", "\r\nPUB x 0\r\n", "ünï", "雨", "a=20b", "$SYS"]
    inboxes = {name: await subscribe(peer, channel_subject("app", name)) for name in names}
    for name in names:
        await bus.publish(messages(name.encode(), subject=channel_subject("app", name)))
    for name, inbox in inboxes.items():
        assert await inbox.until(name.encode()) == [name.encode()]


async def test_longest_subject_travels(bus: Bus, peer: Bus) -> None:
    """The longest subject works, and a longer one is refused before it harms the connection."""
    longest = "x" * MAX_SUBJECT
    inbox = await subscribe(peer, longest)
    with pytest.raises(ValueError, match="3001 characters"):
        peer.subscribe(longest + "x", inbox)
    await bus.publish(messages(b"1", subject=longest))

    assert await inbox.until(b"1") == [b"1"]


async def test_handler_that_raises(bus: Bus, peer: Bus) -> None:
    """Its exception is logged with the traceback; other handlers and messages do not suffer."""

    def fail(payload: bytes) -> None:
        raise LookupError(payload)

    peer.subscribe(SUBJECT, fail)
    inbox = await subscribe(peer)
    with capture_logs() as logs:
        await bus.publish(messages(b"1", b"2"))
        await inbox.until(b"2")

    assert inbox.payloads == [b"1", b"2"]
    assert [(entry["event"], entry["subject"], entry["exc_info"]) for entry in logs] == [
        ("bus handler failed", SUBJECT, True)
    ] * 2


async def test_handler_that_publishes(bus: Bus) -> None:
    """A handler may post from within: it is never re-entered, however long the chain."""
    depth = 0
    deepest = 0
    inbox = Inbox()

    def relay(payload: bytes) -> None:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        count = int(payload)
        if count < 2000:  # twice the interpreter's recursion limit
            bus.post(Message(SUBJECT, b"%d" % (count + 1)))
        depth -= 1
        inbox(payload)

    bus.subscribe(SUBJECT, relay)
    await bus.flush()
    bus.post(Message(SUBJECT, b"0"))
    await inbox.until(b"2000")

    assert deepest == 1


async def test_post_does_not_deliver_inside_the_call(bus: Bus) -> None:
    """Handlers run later, and not below the publisher on the stack."""
    inbox = await subscribe(bus)
    bus.post(Message(SUBJECT, b"1"))

    assert inbox.payloads == []
    assert await inbox.until(b"1") == [b"1"]


async def test_close_sends_what_was_posted(bus: Bus, peer: Bus) -> None:
    """Closing at once after posting loses nothing; closing again does nothing."""
    inbox = await subscribe(peer)
    for message in messages(*numbers(500)):
        bus.post(message)
    await bus.close()
    await bus.close()

    assert await inbox.until(b"499") == numbers(500)
    assert not bus.connected


async def test_closed_bus_refuses(bus: Bus) -> None:
    """Nothing is accepted after the end."""
    await bus.close()
    (outcome,) = await bus.publish(messages(b"1"))

    assert isinstance(outcome, BusUnavailableError)
    with pytest.raises(BusUnavailableError):
        bus.post(Message(SUBJECT, b"1"))
    with pytest.raises(BusUnavailableError):
        await bus.flush()


async def test_posts_are_bounded_in_number(bus: Bus, peer: Bus) -> None:
    """The newest post is refused when the outbox is full; the next turn has room again."""
    inbox = await subscribe(peer)
    for message in messages(*numbers(MAX_MESSAGES)):
        bus.post(message)
    with pytest.raises(BusQueueFullError):
        bus.post(Message(SUBJECT, b"one too many"))
    await inbox.until(b"%d" % (MAX_MESSAGES - 1))
    bus.post(Message(SUBJECT, b"end"))

    assert await inbox.until(b"end") == [*numbers(MAX_MESSAGES), b"end"]


async def test_posts_are_bounded_in_bytes(bus: Bus) -> None:
    """A few large messages fill the outbox too."""
    payload = b"x" * (bus.max_payload // 2)

    def overfill() -> None:
        for _ in range(MAX_BYTES // len(payload) + 1):
            bus.post(Message(SUBJECT, payload))

    with pytest.raises(BusQueueFullError, match="bytes"):
        overfill()


async def test_oversized_post(bus: Bus) -> None:
    """A message that the server would not take is refused at once."""
    with pytest.raises(MessageTooLargeError):
        bus.post(Message(SUBJECT, b"x" * (bus.max_payload + 1)))


async def test_status_is_told(bus: Bus) -> None:
    """A listener learns of the end, with the reason."""
    status = Status(bus)

    assert bus.connected
    await bus.close()
    assert status.changes == [(False, "closed")]


async def test_foreign_subscription(bus: Bus) -> None:
    """Only what `subscribe` returned can be unsubscribed."""

    class Foreign:
        subject = SUBJECT

    with pytest.raises(TypeError, match="not a subscription of this bus"):
        bus.unsubscribe(Foreign())


async def test_no_task_for_a_subscription(bus: Bus) -> None:
    """A thousand subscriptions need no more tasks than none."""
    before = len(asyncio.all_tasks())
    for number in range(1000):
        bus.subscribe(channel_subject("app", str(number)), lambda _: None)
    await bus.flush()

    assert len(asyncio.all_tasks()) == before
