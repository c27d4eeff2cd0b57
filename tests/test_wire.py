"""What nodes of version 1 say to each other, pinned: nodes of several versions share a bus.

A test here that fails means that old and new nodes would not understand each other. Do not adapt
it: add a field, or make it `v2` (docs/operations.md, "Upgrading").
"""

import msgspec
import pytest
from google.protobuf.message import Message

from pogo.broker.events import Event
from pogo.broker.message_ids import Claim, Found, fingerprint, record_key
from pogo.broker.status import SUCCESS
from pogo.broker.webhooks.facts import Fact, ledger_key, read_ledger
from pogo.broker.webhooks.state import Kind, Point
from pogo.bus.subjects import channel_subject
from pogo.cluster.nodes import NodeState, node_of
from pogo.cluster.questions import QUESTIONS
from pogo.pusher.members import Member, encode_member, parse_member
from pogo.registry import keys
from pogo.rpc.v1.cluster_pb2 import Answer, ChannelsQuestion, ChannelState, Question
from pogo.rpc.v1.delivery_pb2 import CachedEvent, Delivery
from pogo.webhooks import encode_event
from pogo.webhooks.places import EVENTS, HINTS, LEDGERS

# Field 100, with the text "new": what a later version may add.
NEW_FIELD = b"\xa2\x06\x03new"

MESSAGES: dict[str, tuple[Message, str]] = {
    "delivery": (
        Delivery(payload=b"{}", except_socket_id="1.2", id="i", cache_revision=7),
        "0a027b7d1203312e321a01692007",
    ),
    "cached event": (
        CachedEvent(payload=b"{}", id="i", expires_at_ms=1000),
        "0a027b7d12016918e807",
    ),
    "question": (
        Question(
            id=b"q",
            reply_subject="r",
            app_id="a",
            channels=ChannelsQuestion(prefix="p", name="n", names=["x"]),
        ),
        "0a01711201721a016122090a017012016e1a0178",
    ),
    "answer": (
        Answer(
            id=b"q",
            process="p",
            more=True,
            channels=[ChannelState(name="n", subscriptions=2, users=1)],
            ids=["u"],
            count=3,
            parts=1,
        ),
        "0a0171120170180122070a016e100218012a017530033801",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    """Their bytes are these, and a field that a later version adds does not matter."""
    message, written = MESSAGES[name]
    later = type(message).FromString(bytes.fromhex(written) + NEW_FIELD)
    later.DiscardUnknownFields()

    assert written == message.SerializeToString(deterministic=True).hex()
    assert later == message


def test_subjects() -> None:
    """Where events travel, whatever is in the names."""
    assert "pogo.v1.a=2Eb.ch.private-x=20=C3=A9" == channel_subject("a.b", "private-x é")
    assert "pogo.v1.=.questions" == QUESTIONS
    assert ["pogo.v1.=.webhooks", "pogo.v1.=.webhooked", "pogo.v1.=.ledgers"] == [
        EVENTS,
        HINTS,
        LEDGERS,
    ]


def test_keys() -> None:
    """Who writes where in the registry."""
    assert "n.-.edge" == keys.nodes_topic("edge")
    assert "p.shop.presence-room=2E1" == keys.presence_topic("shop", "presence-room.1")
    assert "c.shop.news" == keys.counts_topic("shop", "news")
    assert "u.shop.7" == keys.user_topic("shop", "7")


def test_values() -> None:
    """What stands at a key; more than that may come."""
    state = NodeState("host-1", ready=True)
    member = Member("7", msgspec.Raw(b'{"name":"Ada"}'))
    written = b'{"user_id":"7","user_info":{"name":"Ada"}}'

    assert b'{"process":"host-1","ready":true}' == msgspec.json.encode(state)
    assert state == node_of("n.-.edge.e-1.-", b'{"new":1,"process":"host-1","ready":true}', 1).state
    assert written == encode_member(member)
    assert member.user_id == parse_member(b'{"new":1,' + written[1:]).user_id


def test_what_is_asked_by_a_later_version() -> None:
    """An older edge finds nothing in a question of a new kind that it could answer."""
    asked = Question.FromString(bytes.fromhex("0a0171120172") + NEW_FIELD)

    assert (b"q", "r", None) == (asked.id, asked.reply_subject, asked.WhichOneof("ask"))


def test_message_ids() -> None:
    """Brokers of two versions know each other's message ids, and what was said to them.

    A field that events get must not change the fingerprint of those without it.
    """
    events = [Event("shop", ["news"], "order", "{}", "1.2", "id-1")]
    claim = Claim(b"8 bytes.", fingerprint(events), 1)

    assert "shop.id=2E1" == record_key("shop", "id.1")
    assert "0de06f60a85ea4cfd9ac575344cfdbf3" == fingerprint(events).hex()
    assert b"p8 bytes." + claim.fingerprint + b"\xff" == claim.pending
    assert b"d8 bytes." + claim.fingerprint + b"\x00" == claim.done([SUCCESS])
    assert Found(claim.fingerprint, None) == Found.read(claim.pending)
    assert Found(claim.fingerprint, [SUCCESS]) == Found.read(claim.done([SUCCESS]))


def test_what_a_later_version_announced() -> None:
    """It is known to be of no use here, and hides nothing else."""
    point = Point(Kind.CHANNEL, "news")
    ledger = {"crm/x/news": b'[["x","news",""],1]', "crm/c/news": b'[["c","news",""],1]'}

    assert ({"crm": {point: 1}}, ["crm/x/news"]) == read_ledger(ledger, ["crm"])


def test_webhooks() -> None:
    """What waits for an endpoint, and what a ledger has."""
    point = Point(Kind.MEMBER, "presence-room", "7")

    assert b'{"name":"member_added","channel":"presence-room","id":"i","user_id":"7"}' == (
        encode_event("member_added", "presence-room", "i", user_id="7")
    )
    assert b'[["m","presence-room","7"],1]' == Fact(point, 1).entry
    assert "shop/c/news" == ledger_key("shop", Point(Kind.CHANNEL, "news", ""))
