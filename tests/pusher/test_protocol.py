import json

import pytest

from pogo.pusher.channels import ChannelKind
from pogo.pusher.errors import (
    ClientEventError,
    ClientEventRateError,
    CloseError,
    InvalidChannelError,
    InvalidMessageError,
    OverCapacityError,
    SigninError,
    SubscriptionLimitError,
    UnauthorizedSubscriptionError,
)
from pogo.pusher.events import (
    ClientEventReceived,
    Reply,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.pusher.frames import PONG
from pogo.pusher.members import Member
from pogo.pusher.policy import AppPolicy
from pogo.pusher.protocol import PusherProtocol, error_messages
from tests.pusher.helpers import (
    KEY,
    SECRET,
    SOCKET_ID,
    conversation,
    limits,
    message,
    signin,
    subscribe,
    subscribed,
)

AUTHORIZED_KINDS = [kind for kind in ChannelKind if kind.needs_auth]
MEMBER = '{"user_id":"7","user_info":{"n":"x"}}'


def test_establish() -> None:
    """The first message gives the socket id and the activity timeout."""
    protocol = PusherProtocol(AppPolicy(KEY, (SECRET,)), limits(), SOCKET_ID)
    first = json.loads(protocol.establish())

    assert {"socket_id": SOCKET_ID, "activity_timeout": 54} == json.loads(first["data"])


def test_nothing_is_heard_before_and_after() -> None:
    """Messages count only while the connection is open."""
    protocol = PusherProtocol(AppPolicy(KEY, (SECRET,)), limits(), SOCKET_ID)

    assert protocol.receive(message("pusher:ping"), 0) is None
    protocol.establish()
    protocol.close()
    protocol.close()
    assert protocol.receive(b"garbage", 0) is None


def test_ping_and_pong() -> None:
    """A ping is answered; a pong needs no answer."""
    protocol = conversation()

    assert Reply(PONG) == protocol.receive(message("pusher:ping", {}), 0)
    assert protocol.receive(message("pusher:pong", {}), 0) is None


def test_what_else_is_sent_counts() -> None:
    """A flood of what are no messages, pings say, is one too."""
    protocol = conversation(own=limits(message_rate=1))
    protocol.charge(0)
    protocol.charge(0)

    with pytest.raises(OverCapacityError):
        protocol.charge(0)


def test_message_rate() -> None:
    """A client that floods is closed with a code that makes it wait."""
    protocol = conversation(own=limits(message_rate=1))
    protocol.receive(message("pusher:ping"), 0)
    protocol.receive(message("pusher:ping"), 0)

    with pytest.raises(OverCapacityError) as raised:
        protocol.receive(message("pusher:ping"), 0)
    assert isinstance(raised.value, CloseError)
    assert Reply(PONG) == protocol.receive(message("pusher:ping"), 1)


def test_public_subscription() -> None:
    """A subscription is pending until it is confirmed."""
    protocol = conversation()
    event = protocol.receive(message("pusher:subscribe", {"channel": "news"}), 0)

    assert SubscriptionRequested("news", ChannelKind.PUBLIC, None) == event
    assert ["news"] == list(protocol.channels)
    assert b"subscription_succeeded" in protocol.confirm("news")


def test_subscribing_twice_gets_the_same_answer() -> None:
    """Libraries that reconnect in a hurry ask twice."""
    protocol = conversation()
    subscribed(protocol, "news")
    event = protocol.receive(message("pusher:subscribe", {"channel": "news"}), 0)

    assert isinstance(event, SubscriptionRequested)
    assert b"subscription_succeeded" in protocol.confirm("news")


def test_a_refused_subscription_is_forgotten() -> None:
    """What cannot be had can be asked for again."""
    protocol = conversation()
    protocol.receive(message("pusher:subscribe", {"channel": "news"}), 0)
    protocol.refuse("news")

    assert [] == list(protocol.channels)


@pytest.mark.parametrize("kind", AUTHORIZED_KINDS)
def test_valid_signature(kind: ChannelKind) -> None:
    """A signature of the app opens every channel that needs one."""
    protocol = conversation()
    channel = f"{kind.prefix}a"
    event = protocol.receive(subscribe(channel, MEMBER if kind.is_presence else None), 0)

    assert isinstance(event, SubscriptionRequested)
    assert (channel, kind) == (event.channel, event.kind)
    assert kind.is_presence == (event.member is not None)


@pytest.mark.parametrize("kind", AUTHORIZED_KINDS)
def test_invalid_signatures(kind: ChannelKind) -> None:
    """No, a wrong, and another channel's signature open none."""
    protocol = conversation()
    channel = f"{kind.prefix}a"
    data = MEMBER if kind.is_presence else None
    swapped = json.loads(subscribe(f"{kind.prefix}b", data))
    swapped["data"]["channel"] = channel
    attempts = [
        message("pusher:subscribe", {"channel": channel, "channel_data": data}),
        message("pusher:subscribe", {"channel": channel, "auth": "", "channel_data": data}),
        subscribe(channel, data, secret=b"wrong"),
        json.dumps(swapped).encode(),
    ]

    for attempt in attempts:
        with pytest.raises(UnauthorizedSubscriptionError):
            protocol.receive(attempt, 0)
    assert [] == list(protocol.channels)


def test_channel_data_on_other_channels() -> None:
    """What an application signs with a private subscription is part of its signature."""
    protocol = conversation()
    event = protocol.receive(subscribe("private-a", MEMBER), 0)
    unsigned = json.loads(subscribe("private-b"))
    unsigned["data"]["channel_data"] = MEMBER

    assert SubscriptionRequested("private-a", ChannelKind.PRIVATE, None) == event
    with pytest.raises(UnauthorizedSubscriptionError):
        protocol.receive(json.dumps(unsigned).encode(), 0)


def test_presence_member() -> None:
    """Who it is comes from the signed channel_data, and stays, whoever asks again."""
    protocol = conversation()
    first = protocol.receive(subscribe("presence-a", '{"user_id":7}'), 0)
    second = protocol.receive(subscribe("presence-a", '{"user_id":8}'), 0)

    assert SubscriptionRequested("presence-a", ChannelKind.PRESENCE, Member("7")) == first
    assert first == second


def test_presence_by_signin() -> None:
    """A signed-in user needs no channel_data."""
    protocol = conversation()
    protocol.receive(signin('{"id":"7"}'), 0)
    event = protocol.receive(subscribe("presence-a"), 0)

    assert SubscriptionRequested("presence-a", ChannelKind.PRESENCE, Member("7")) == event


@pytest.mark.parametrize("channel_data", [None, "", "{}", "x", '{"user_id":""}'])
def test_presence_needs_somebody(channel_data: str | None) -> None:
    """Without a user there is no member, however well it is signed."""
    with pytest.raises(UnauthorizedSubscriptionError):
        conversation().receive(subscribe("presence-a", channel_data), 0)


def test_limits_of_subscriptions() -> None:
    """Names, their number, and what is said of a member are bounded."""
    protocol = conversation(own=limits(max_subscriptions=1, max_presence_data=30))
    subscribed(protocol, "a")
    protocol.receive(message("pusher:subscribe", {"channel": "a"}), 0)

    with pytest.raises(SubscriptionLimitError, match="at most 1 subscriptions"):
        protocol.receive(message("pusher:subscribe", {"channel": "b"}), 0)
    with pytest.raises(InvalidChannelError, match="characters"):
        protocol.receive(message("pusher:subscribe", {"channel": "x" * 201}), 0)
    protocol.receive(message("pusher:unsubscribe", {"channel": "a"}), 0)
    with pytest.raises(SubscriptionLimitError, match="at most 30 bytes"):
        protocol.receive(subscribe("presence-a", MEMBER), 0)
    protocol.receive(signin(json.dumps({"id": "7", "user_info": "x" * 30})), 0)
    with pytest.raises(SubscriptionLimitError, match="at most 30 bytes"):
        protocol.receive(subscribe("presence-a"), 0)


def test_unsubscribe() -> None:
    """It ends a subscription that is there, pending or not."""
    protocol = conversation()
    subscribed(protocol, "private-a")
    event = protocol.receive(message("pusher:unsubscribe", {"channel": "private-a"}), 0)

    assert SubscriptionCancelled("private-a") == event
    with pytest.raises(InvalidMessageError, match="no subscription to private-a"):
        protocol.receive(message("pusher:unsubscribe", {"channel": "private-a"}), 0)


def test_client_event() -> None:
    """It is written anew from what the protocol knows: nothing else of the sender's passes."""
    protocol = conversation()
    subscribed(protocol, "private-a")
    raw = message("client-x", {"a": 1}, channel="private-a", user_id="spoofed", more=1)
    event = protocol.receive(raw, 0)

    assert isinstance(event, ClientEventReceived)
    assert "private-a" == event.channel
    assert {"event": "client-x", "channel": "private-a", "data": {"a": 1}} == json.loads(
        event.message
    )


def test_client_event_on_presence_has_the_user() -> None:
    """The user id is the authenticated one."""
    protocol = conversation()
    subscribed(protocol, "presence-a", MEMBER)
    event = protocol.receive(message("client-x", "hi", channel="presence-a", user_id="1"), 0)

    assert isinstance(event, ClientEventReceived)
    assert "7" == json.loads(event.message)["user_id"]


@pytest.mark.parametrize("channel", ["news", "cache-a", "private-encrypted-a"])
def test_client_events_are_for_private_and_presence_channels(channel: str) -> None:
    """Neither public nor encrypted channels take them, also from a subscriber."""
    protocol = conversation()
    subscribed(protocol, channel)

    with pytest.raises(ClientEventError, match="private and presence"):
        protocol.receive(message("client-x", {}, channel=channel), 0)


def test_client_event_needs_an_active_subscription() -> None:
    """Strangers and those who still wait are refused."""
    protocol = conversation()

    with pytest.raises(ClientEventError, match="subscription"):
        protocol.receive(message("client-x", {}, channel="private-a"), 0)
    protocol.receive(subscribe("private-a"), 0)
    with pytest.raises(ClientEventError, match="subscription"):
        protocol.receive(message("client-x", {}, channel="private-a"), 0)


def test_client_events_can_be_switched_off() -> None:
    """The app decides."""
    protocol = conversation(client_events=False)
    subscribed(protocol, "private-a")

    with pytest.raises(ClientEventError, match="switched off"):
        protocol.receive(message("client-x", {}, channel="private-a"), 0)


def test_client_event_name_is_bounded() -> None:
    """As names are for back ends."""
    protocol = conversation()
    subscribed(protocol, "private-a")

    with pytest.raises(ClientEventError, match="200 characters"):
        protocol.receive(message("client-" + "x" * 200, {}, channel="private-a"), 0)


def test_client_event_rate() -> None:
    """Too many are reported with 4301, which is no close code."""
    protocol = conversation(own=limits(event_rate=1))
    subscribed(protocol, "private-a")
    raw = message("client-x", {}, channel="private-a")
    protocol.receive(raw, 0)
    protocol.receive(raw, 0)

    with pytest.raises(ClientEventRateError) as raised:
        protocol.receive(raw, 0)
    assert not isinstance(raised.value, CloseError)
    assert isinstance(protocol.receive(raw, 1), ClientEventReceived)


def test_signin() -> None:
    """The data comes back as it was signed, and the user may subscribe to what is sent to them."""
    protocol = conversation()
    event = protocol.receive(signin('{"id":"7"}'), 0)
    own = protocol.receive(message("pusher:subscribe", {"channel": "#server-to-user-7"}), 0)

    assert isinstance(event, SignedIn)
    assert ("7", (), None) == (event.user.id, event.watchlist, event.excess)
    assert {"user_data": '{"id":"7"}'} == json.loads(event.message)["data"]
    assert SubscriptionRequested("#server-to-user-7", ChannelKind.SERVER_TO_USER, None) == own


def test_a_watchlist() -> None:
    """Each user is watched once, the first hundred of them; more are reported with 4302."""
    ids = [f"u{number}" for number in range(100)]
    full = conversation().receive(signin(json.dumps({"id": "7", "watchlist": [*ids, "u0"]})), 0)
    more = conversation().receive(signin(json.dumps({"id": "7", "watchlist": [*ids, "x"]})), 0)

    assert isinstance(full, SignedIn)
    assert isinstance(more, SignedIn)
    assert (tuple(ids), None) == (full.watchlist, full.excess)
    assert tuple(ids) == more.watchlist
    assert more.excess is not None
    assert 4302 == more.excess.code


def test_server_to_user_is_for_its_user() -> None:
    """Neither strangers nor other users get what is sent to one."""
    protocol = conversation()
    request = message("pusher:subscribe", {"channel": "#server-to-user-7", "auth": ""})

    with pytest.raises(UnauthorizedSubscriptionError):
        protocol.receive(request, 0)
    protocol.receive(signin('{"id":"77"}'), 0)
    with pytest.raises(UnauthorizedSubscriptionError):
        protocol.receive(request, 0)


def test_signin_is_for_one_user() -> None:
    """The same user may sign in again, another one may not."""
    protocol = conversation()
    protocol.receive(signin('{"id":"7"}'), 0)

    assert isinstance(protocol.receive(signin('{"id":"7","user_info":{}}'), 0), Reply)
    with pytest.raises(SigninError, match="another user"):
        protocol.receive(signin('{"id":"8"}'), 0)


@pytest.mark.parametrize(
    "raw", [signin('{"id":"7"}', secret=b"wrong"), signin('{"id":7}'), signin("x")]
)
def test_signin_refused(raw: bytes) -> None:
    """A wrong signature, or no user in what is signed."""
    with pytest.raises(SigninError):
        conversation().receive(raw, 0)


def test_error_messages() -> None:
    """A refused subscription is told twice: as an error, and on the channel."""
    refused = error_messages(UnauthorizedSubscriptionError("private-a", "no"))
    other = error_messages(ClientEventError("no"))

    assert ["pusher:error", "pusher:subscription_error"] == [
        json.loads(raw)["event"] for raw in refused
    ]
    assert ["pusher:error"] == [json.loads(raw)["event"] for raw in other]


def test_secrets_are_not_shown() -> None:
    """A policy in a traceback gives nothing away."""
    assert "hush" not in repr(AppPolicy(KEY, (b"hush",)))
