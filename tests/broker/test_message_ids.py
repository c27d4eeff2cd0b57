"""What records of message ids say, and that no order of things publishes an event twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pogo.broker.events import Event
from pogo.broker.message_ids import (
    TOKEN_SIZE,
    Claim,
    Ending,
    Found,
    Lifetimes,
    end,
    fingerprint,
    record_key,
)
from pogo.broker.status import SUCCESS, Outcome
from pogo.broker.workers import MAX_WAIT
from pogo.records import Record, Write
from pogo.records.memory import MemoryRecords
from pogo.rpc.v1.status import StatusCode

LIFETIMES = Lifetimes(10, 300)
EVENT = Event("shop", ("a", "b"), "headline", "{}", "1.2", "id")
CERTAIN = Outcome(StatusCode.SHARD_QUEUE_FULL, "full")
DOUBT = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "the bus did not confirm", in_doubt=True)
LATE = Outcome(StatusCode.BROKER_PUBLISH_FAILED, "not sent")

_OUTCOMES = st.lists(st.sampled_from([SUCCESS, CERTAIN, DOUBT, LATE]), min_size=1, max_size=5)


def make_claim(size: int = 1, token: bytes = b"t" * TOKEN_SIZE) -> Claim:
    """Make the claim of an attempt to publish so many events."""
    return Claim(token, fingerprint([EVENT] * size), size)


@given(_OUTCOMES)
def test_a_record_says_how_it_was_answered(outcomes: list[Outcome]) -> None:
    """The statuses come back, success without a word; the size is what was claimed."""
    claim = make_claim(len(outcomes))
    done = claim.done(outcomes)
    found = Found.read(done)

    assert found.outcomes is not None
    assert [outcome.status for outcome in outcomes] == [o.status for o in found.outcomes]
    assert claim.fingerprint == found.fingerprint
    assert len(claim.pending) == len(done)
    assert all(bool(o.detail) == bool(o.status) for o in found.outcomes)


def test_a_record_of_what_is_under_way() -> None:
    """It has no answer yet."""
    assert Found(make_claim().fingerprint, None) == Found.read(make_claim().pending)


@given(st.binary(max_size=60))
def test_what_is_no_record(record: bytes) -> None:
    """Whatever else is found is a record or a ValueError."""
    try:
        found = Found.read(record)
    except ValueError:
        return
    assert found.outcomes is None or found.outcomes


@pytest.mark.parametrize(
    ("outcomes", "ttl"),
    [
        ([SUCCESS], 300),
        ([CERTAIN], None),
        ([LATE], None),
        ([DOUBT], 10),
        ([CERTAIN, DOUBT], 10),
        ([CERTAIN, LATE], None),
        ([CERTAIN, DOUBT, SUCCESS], 300),
    ],
)
def test_how_an_attempt_is_remembered(outcomes: list[Outcome], ttl: int | None) -> None:
    """What was published stays, what certainly was not is forgotten, doubt ends like a claim."""
    claim = make_claim(len(outcomes))
    expected = Ending(None, 0) if ttl is None else Ending(claim.done(outcomes), ttl)

    assert expected == end(claim, outcomes, LIFETIMES)


@pytest.mark.parametrize(
    "other",
    [
        [EVENT._replace(app_id="other")],
        [EVENT._replace(channels=("a",))],
        [EVENT._replace(channels=("b", "a"))],
        [EVENT._replace(channels=("ab",))],
        [EVENT._replace(name="headlin", data="e{}")],
        [EVENT._replace(data="{ }")],
        [EVENT._replace(socket_id="")],
        [EVENT._replace(message_id="other")],
        [EVENT, EVENT],
        [],
    ],
)
def test_another_body_has_another_fingerprint(other: Sequence[Event]) -> None:
    """Every field counts, and so does where one ends and the next begins."""
    assert fingerprint([EVENT]) != fingerprint(other)


def test_the_same_body_has_the_same_fingerprint() -> None:
    """It does not matter how the channels were given."""
    assert fingerprint([EVENT]) == fingerprint([EVENT._replace(channels=["a", "b"])])


def test_keys_keep_apps_apart() -> None:
    """No message id of one app is another's, whatever characters they have."""
    keys = [record_key("a", "b.c"), record_key("a.b", "c"), record_key("a", "b"), "a.b.c"]

    assert 4 == len(set(keys))
    assert "a.b=2Ec" == keys[0]


def test_a_claim_outlives_what_it_is_for() -> None:
    """A message is given up long before its claim ends: whoever claims then is alone."""
    assert 2 * MAX_WAIT < Lifetimes().pending


@dataclass
class _Attempt:
    """One call at one broker, which may stop at any time."""

    claim: Claim
    since: float
    revision: int
    outcomes: list[Outcome] | None = None
    ending: Ending | None = None


@dataclass
class _Body:
    """What is to be published once: when it was, and when a repeat was told that it was."""

    published: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)


class Interleavings(RuleBasedStateMachine):
    """Calls with one message id at any number of brokers, which stop, crash and go on at will.

    The steps are those of `Attempts`, on the records in memory, with a clock that the test moves.
    """

    @initialize()
    def begin(self) -> None:
        """Begin with an empty store."""
        self.now = 1000.0
        self.records = MemoryRecords(clock=lambda: self.now)
        self.attempts: list[_Attempt] = []
        self.body = _Body()
        self.tokens = 0
        self.key = record_key("shop", "id")

    def _write(self, write: Write) -> object:
        return asyncio.run(self.records.write([write]))[0]

    def _stored(self) -> Record | None:
        return asyncio.run(self.records.get([self.key]))[0]

    @rule(queued=st.floats(0, 1))
    def call(self, queued: float) -> None:
        """Call a broker: it claims, or finds what another has recorded."""
        self.tokens += 1
        claim = make_claim(token=self.tokens.to_bytes(TOKEN_SIZE, "big"))
        since = self.now
        self.now += queued
        result = self._write(Write(self.key, claim.pending, LIFETIMES.pending, 0))
        if isinstance(result, int):
            self.attempts.append(_Attempt(claim, since, result))
            return
        stored = self._stored()
        assert stored is not None
        found = Found.read(stored.value)
        if found.outcomes == [SUCCESS]:
            assert self.body.published

    @precondition(lambda self: any(a.outcomes is None for a in self.attempts))
    @rule(data=st.data(), outcome=st.sampled_from([SUCCESS, DOUBT, CERTAIN]))
    def publish(self, data: st.DataObject, outcome: Outcome) -> None:
        """Let a broker go on that has claimed: it publishes, if it is not too late."""
        waiting = [attempt for attempt in self.attempts if attempt.outcomes is None]
        attempt = data.draw(st.sampled_from(waiting))
        if self.now - attempt.since > MAX_WAIT:
            outcome = LATE
        if outcome in (SUCCESS, DOUBT):
            for earlier in self.body.published:
                assert self.now - earlier >= LIFETIMES.pending - MAX_WAIT
            for earlier in self.body.answered:
                assert self.now - earlier >= LIFETIMES.done
            self.body.published.append(self.now)
        attempt.outcomes = [outcome]
        attempt.ending = end(attempt.claim, attempt.outcomes, LIFETIMES)

    @precondition(lambda self: any(a.ending for a in self.attempts))
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Let a broker record how its attempt ended."""
        ended = [attempt for attempt in self.attempts if attempt.ending]
        attempt = data.draw(st.sampled_from(ended))
        assert attempt.ending is not None
        write = Write(self.key, attempt.ending.record, attempt.ending.ttl, attempt.revision)
        if isinstance(self._write(write), int) and attempt.outcomes == [SUCCESS]:
            self.body.answered.append(self.now)
        self.attempts.remove(attempt)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Let a broker die, at any time."""
        self.attempts.remove(data.draw(st.sampled_from(self.attempts)))

    @rule(seconds=st.sampled_from([0.1, 0.4, 3.0, 9.0, 10.0, 100.0, 299.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
