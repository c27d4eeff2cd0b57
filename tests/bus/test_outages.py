"""What the buses with a server promise when it is killed, frozen or not there at all."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from pogo.bus import BusUnavailableError, Message, channel_subject
from pogo.bus.connection import CONFIRM_TIMEOUT, MAX_UNSENT, PING_INTERVAL, PING_TIMEOUT
from tests.bus.helpers import (
    SUBJECT,
    Inbox,
    Remote,
    Status,
    all_confirmed,
    elapsed,
    messages,
    numbers,
    subscribe,
)

# How late a loaded machine may be.
SLACK = 0.5


async def test_restarted_server(remote: Remote) -> None:
    """Within two seconds of its return every subscription delivers again."""
    bus, peer = await remote.bus(), await remote.bus()
    own, peers = Status(bus), Status(peer)
    subjects = [channel_subject("app", str(number)) for number in range(1000)]
    inbox = await subscribe(peer, *subjects)
    remote.server.kill()
    await own.until(1.0, connected=False)
    await peers.until(1.0, connected=False)
    await remote.server.start()
    async with asyncio.timeout(2.0):
        await own.until(2.0, connected=True)
        await peers.until(2.0, connected=True)
        batch = [Message(subject, subject.encode()) for subject in subjects]
        assert all_confirmed(await bus.publish(batch))
        await inbox.until(batch[-1].payload)

    assert sorted(inbox.payloads) == sorted(subject.encode() for subject in subjects)


async def test_publish_while_the_server_is_away(remote: Remote) -> None:
    """It fails at once, with a clear error, and is not made up for later."""
    bus = await remote.bus()
    status = Status(bus)
    inbox = await subscribe(bus)
    remote.server.kill()
    await status.until(1.0, connected=False)

    async def refused() -> None:
        (outcome,) = await bus.publish(messages(b"lost"))
        assert isinstance(outcome, BusUnavailableError)
        assert "not connected to" in str(outcome)
        with pytest.raises(BusUnavailableError, match="not connected to"):
            bus.post(Message(SUBJECT, b"lost"))
        with pytest.raises(BusUnavailableError, match="not connected to"):
            await bus.flush()

    assert await elapsed(refused()) < 0.1
    await remote.server.start()
    await status.until(2.0, connected=True)
    await bus.publish(messages(b"found"))
    assert await inbox.until(b"found") == [b"found"]


async def test_publish_in_flight_when_the_server_dies(remote: Remote) -> None:
    """Whoever waits for a confirmation learns at once that there will be none."""
    bus = await remote.bus()
    remote.server.freeze()
    publishing = asyncio.create_task(bus.publish(messages(*numbers(100))))
    flushing = asyncio.create_task(bus.flush())
    await asyncio.sleep(0)  # both have written
    remote.server.kill()

    assert await elapsed(asyncio.wait([publishing, flushing])) < 0.1
    assert [BusUnavailableError] * 100 == [type(outcome) for outcome in publishing.result()]
    assert isinstance(flushing.exception(), BusUnavailableError)


async def test_posts_are_not_kept_across_an_outage(remote: Remote) -> None:
    """What was posted to a frozen server that then died is gone for good."""
    bus = await remote.bus()
    status = Status(bus)
    inbox = await subscribe(bus)
    remote.server.freeze()
    bus.post(Message(SUBJECT, b"lost"))
    remote.server.kill()
    await status.until(1.0, connected=False)
    await remote.server.start()
    await status.until(2.0, connected=True)
    await bus.publish(messages(b"found"))

    assert await inbox.until(b"found") == [b"found"]


async def test_frozen_server(remote: Remote) -> None:
    """A publish fails within a second, the connection within five; thawed, the server is back."""
    bus = await remote.bus()
    status = Status(bus)
    inbox = await subscribe(bus)
    frozen_at = asyncio.get_running_loop().time()
    remote.server.freeze()

    async def refused() -> None:
        (outcome,) = await bus.publish(messages(b"lost"))
        assert isinstance(outcome, BusUnavailableError)
        assert "no answer" in str(outcome)

    assert CONFIRM_TIMEOUT <= await elapsed(refused()) < CONFIRM_TIMEOUT + SLACK
    assert bus.connected
    await status.until(PING_TIMEOUT + PING_INTERVAL, connected=False)
    noticed = asyncio.get_running_loop().time() - frozen_at
    assert noticed < PING_TIMEOUT + PING_INTERVAL + SLACK
    remote.server.thaw()
    await status.until(2.5, connected=True)
    assert await bus.publish(messages(b"found")) == [None]
    # The lost one may come or not: the server had it, but the connection was given up.
    await inbox.until(b"found")


async def test_late_answer(remote: Remote) -> None:
    """A server that is silent for longer than a publish may take does not cost the connection."""
    bus = await remote.bus()
    status = Status(bus)
    inbox = await subscribe(bus)
    remote.server.freeze()
    (late,) = await bus.publish(messages(b"late"))
    remote.server.thaw()

    assert isinstance(late, BusUnavailableError)
    assert await bus.publish(messages(b"next")) == [None]
    assert await inbox.until(b"next") == [b"late", b"next"]
    assert status.changes == []


async def test_answer_to_a_loop_that_stood_still(remote: Remote) -> None:
    """An answer that was there in time counts, however late the loop comes to read it."""
    bus = await remote.bus()
    await bus.flush()
    remote.server.freeze()
    publishing = asyncio.create_task(bus.publish(messages(b"1")))
    await asyncio.sleep(0)
    remote.server.thaw()
    time.sleep(CONFIRM_TIMEOUT + 0.2)  # noqa: ASYNC251 (the loop stands still)

    assert await publishing == [None]


async def test_callers_that_are_cancelled(remote: Remote) -> None:
    """Whoever waits no longer takes nobody else's answer, and takes nothing back."""
    bus = await remote.bus()
    inbox = await subscribe(bus)
    remote.server.freeze()
    publishing = [asyncio.create_task(bus.publish(messages(one))) for one in numbers(4)]
    flushing = [asyncio.create_task(bus.flush()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in (publishing[0], publishing[2], flushing[0]):
        task.cancel()
    remote.server.thaw()
    answers = await asyncio.gather(*publishing, *flushing, return_exceptions=True)

    expected = [asyncio.CancelledError, list, asyncio.CancelledError, list]
    expected += [asyncio.CancelledError, type(None)]
    assert expected == [type(answer) for answer in answers]
    assert [[None], [None]] == [answers[1], answers[3]]
    assert numbers(4) == await inbox.until(b"3")
    assert [None] == await bus.publish(messages(b"next"))


async def test_server_that_reads_nothing(remote: Remote) -> None:
    """What it does not take is bounded; then publishing fails at once. Closing does not hang."""
    bus = await remote.bus()
    remote.server.freeze()
    payload = b"x" * bus.max_payload
    count = MAX_UNSENT // len(payload) + 20  # the kernel's buffers take a few
    outcomes = await bus.publish(messages(*[payload] * count))
    assert [BusUnavailableError] * count == [type(outcome) for outcome in outcomes]

    async def refused() -> None:
        (outcome,) = await bus.publish(messages(b"1"))
        assert isinstance(outcome, BusUnavailableError)
        assert "bytes wait for" in str(outcome)

    assert await elapsed(refused()) < 0.1
    assert await elapsed(bus.close()) < CONFIRM_TIMEOUT + SLACK


async def test_subscriptions_that_the_server_does_not_read(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cannot be dropped, so too many cost the connection; the next one has them all."""
    for module in ("nats_session", "redis_connection"):
        monkeypatch.setattr(f"pogo.bus.{module}.MAX_UNSENT", 1024 * 1024)
    bus = await remote.bus()
    status = Status(bus)
    remote.server.freeze()
    inbox = Inbox()
    count = 0
    while bus.connected:
        for _ in range(1000):
            bus.subscribe(f"{'x' * 2000}.{count}", inbox)
            count += 1
        await asyncio.sleep(0)  # the turn ends
    await status.until(1.0, connected=False)
    remote.server.thaw()
    await status.until(2.0, connected=True)
    await bus.publish(messages(b"1", subject=f"{'x' * 2000}.{count - 1}"))

    assert "bytes wait for the server" in status.changes[0][1]
    assert await inbox.until(b"1") == [b"1"]


async def test_server_that_is_not_there_yet(absent: Remote) -> None:
    """`start` returns after one attempt; the bus connects when the server comes."""
    with capture_logs() as logs:
        assert await elapsed(absent.bus()) < 1.0
    (bus,) = absent.buses
    status = Status(bus)

    assert not bus.connected
    assert ["bus unavailable, trying on"] == [
        entry["event"] for entry in logs if entry["log_level"] != "debug"
    ]
    inbox = Inbox()
    bus.subscribe(SUBJECT, inbox)
    await absent.server.start()
    await status.until(2.0, connected=True)
    await bus.publish(messages(b"1"))
    assert await inbox.until(b"1") == [b"1"]


async def test_closing_while_the_server_is_away(absent: Remote) -> None:
    """Closing does not wait for a server."""
    bus = await absent.bus()

    assert await elapsed(bus.close()) < 0.1


async def test_subscriptions_that_change_while_the_server_is_away(remote: Remote) -> None:
    """Those that were made meanwhile are restored, those that ended are not."""
    bus = await remote.bus()
    status = Status(bus)
    other = channel_subject("app", "other")
    ended: list[bytes] = []
    subscription = bus.subscribe(SUBJECT, ended.append)
    await bus.flush()
    remote.server.kill()
    await status.until(1.0, connected=False)
    bus.unsubscribe(subscription)
    made: list[bytes] = []
    bus.subscribe(other, made.append)
    await remote.server.start()
    await status.until(2.0, connected=True)
    sentinel = await subscribe(bus, channel_subject("app", "sentinel"))
    await bus.publish([*messages(b"1"), *messages(b"2", subject=other)])
    await bus.publish(messages(b"end", subject=channel_subject("app", "sentinel")))
    await sentinel.until(b"end")

    assert ended == []
    assert made == [b"2"]


async def test_what_an_outage_leaves_in_the_log(remote: Remote) -> None:
    """One line for the loss, one for the return, and between them why attempts fail, once."""
    bus = await remote.bus()
    status = Status(bus)
    with capture_logs() as logs:
        remote.server.kill()
        await status.until(1.0, connected=False)
        attempts = 0
        async with asyncio.timeout(5.0):
            while attempts < 3:
                await asyncio.sleep(0.05)
                attempts = sum(entry["event"] == "bus attempt failed" for entry in logs)
        await remote.server.start()
        await status.until(2.0, connected=True)

    assert [
        ("warning", "bus connection lost"),
        ("warning", "bus unavailable, trying on"),
        ("info", "bus connected"),
    ] == [(entry["log_level"], entry["event"]) for entry in logs if entry["log_level"] != "debug"]


async def test_faulty_status_listener(remote: Remote) -> None:
    """A listener that raises is logged, and keeps neither the bus nor other listeners from it."""
    bus = await remote.bus()

    def fail(connected: bool, reason: str) -> None:  # noqa: FBT001 (a StatusListener)
        raise LookupError(connected, reason)

    bus.add_status_listener(fail)
    status = Status(bus)
    with capture_logs() as logs:
        remote.server.kill()
        await status.until(1.0, connected=False)
        await remote.server.start()
        await status.until(2.0, connected=True)

    failures = [entry for entry in logs if entry["event"] == "bus status listener failed"]
    assert [True, True] == [entry["exc_info"] for entry in failures]
