"""Clients that send no signature, where the application is asked on their behalf."""

import json

import pytest

from pogo.pusher.channels import ChannelKind
from pogo.pusher.errors import (
    InvalidMessageError,
    SigninError,
    SubscriptionLimitError,
    UnauthorizedSubscriptionError,
)
from pogo.pusher.events import (
    AuthenticationNeeded,
    AuthorizationNeeded,
    Reply,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.pusher.members import Member
from pogo.pusher.protocol import PusherProtocol
from pogo.pusher.signatures import sign_channel, sign_user
from tests.pusher.helpers import (
    KEY,
    SECRET,
    SOCKET_ID,
    conversation,
    limits,
    message,
    signin,
    subscribe,
)

MEMBER = '{"user_id":"7","user_info":{"n":"x"}}'
USER = '{"id":"7"}'
ASKED_KINDS = [kind for kind in ChannelKind if kind.needs_auth and not kind.is_encrypted]
KEYED_KINDS = [kind for kind in ChannelKind if kind.is_encrypted]


def _asking(max_subscriptions: int = 100) -> PusherProtocol:
    return conversation(own=limits(asks_application=True, max_subscriptions=max_subscriptions))


def _without_auth(channel: str, **fields: object) -> bytes:
    return message("pusher:subscribe", {"channel": channel, **fields})


def _unsubscribe(channel: str) -> bytes:
    return message("pusher:unsubscribe", {"channel": channel})


def _auth(channel: str, channel_data: str | None = None, *, secret: bytes = SECRET) -> str:
    return f"{KEY}:{sign_channel(secret, SOCKET_ID, channel, channel_data)}"


@pytest.mark.parametrize("kind", ASKED_KINDS)
@pytest.mark.parametrize("fields", [{}, {"auth": ""}, {"auth": None}])
def test_application_is_asked(kind: ChannelKind, fields: dict[str, object]) -> None:
    """A channel that needs a signature and came without one is the application's to decide."""
    channel = f"{kind.prefix}a"

    assert AuthorizationNeeded(channel) == _asking().receive(_without_auth(channel, **fields), 0)


@pytest.mark.parametrize("kind", ASKED_KINDS)
def test_application_is_not_asked_unless_that_is_on(kind: ChannelKind) -> None:
    """By default, no signature is a wrong signature."""
    with pytest.raises(UnauthorizedSubscriptionError):
        conversation().receive(_without_auth(f"{kind.prefix}a"), 0)


@pytest.mark.parametrize("kind", KEYED_KINDS)
def test_encrypted_channels_need_a_signature(kind: ChannelKind) -> None:
    """Their key reaches the client beside the signature, or not at all."""
    with pytest.raises(UnauthorizedSubscriptionError):
        _asking().receive(_without_auth(f"{kind.prefix}a"), 0)


def test_a_wrong_signature_is_wrong() -> None:
    """Who sends a signature is judged by it."""
    with pytest.raises(UnauthorizedSubscriptionError):
        _asking().receive(_without_auth("private-a", auth=f"{KEY}:00"), 0)


def test_public_channels_need_nothing() -> None:
    """A public channel is nobody's to decide."""
    event = _asking().receive(_without_auth("a"), 0)

    assert SubscriptionRequested("a", ChannelKind.PUBLIC, None) == event


def test_authorized() -> None:
    """The application's signature does what the client's would have done."""
    protocol = _asking()
    protocol.receive(_without_auth("presence-a"), 0)
    event = protocol.authorized("presence-a", _auth("presence-a", MEMBER), MEMBER)

    assert isinstance(event, SubscriptionRequested)
    assert isinstance(event.member, Member)
    assert "7" == event.member.user_id
    assert ["presence-a"] == list(protocol.channels)


@pytest.mark.parametrize(
    ("auth", "channel_data"),
    [
        (_auth("presence-a", MEMBER, secret=b"other"), MEMBER),
        (_auth("presence-b", MEMBER), MEMBER),
        (_auth("presence-a"), MEMBER),
        (_auth("presence-a"), None),
        (_auth("presence-a", "{}"), "{}"),
        ("", MEMBER),
    ],
)
def test_application_is_believed_no_more_than_a_client(auth: str, channel_data: str | None) -> None:
    """A signature that is wrong refuses the subscription, which can be asked for again."""
    protocol = _asking()
    protocol.receive(_without_auth("presence-a"), 0)

    with pytest.raises(UnauthorizedSubscriptionError):
        protocol.authorized("presence-a", auth, channel_data)
    again = protocol.receive(_without_auth("presence-a"), 0)
    assert AuthorizationNeeded("presence-a") == again


def test_denied() -> None:
    """Without a signature the subscription is refused with the reason."""
    protocol = _asking()
    protocol.receive(_without_auth("private-a"), 0)

    with pytest.raises(UnauthorizedSubscriptionError, match="not yours"):
        protocol.denied("private-a", "not yours")
    assert protocol.authorized("private-a", _auth("private-a"), None) is None


def test_unsubscribed_meanwhile() -> None:
    """An answer for somebody who no longer wants it is of no use, and says nothing."""
    protocol = _asking()
    protocol.receive(_without_auth("private-a"), 0)

    assert protocol.receive(_unsubscribe("private-a"), 0) is None
    assert protocol.authorized("private-a", _auth("private-a"), None) is None
    protocol.denied("private-a", "not yours")
    with pytest.raises(InvalidMessageError):
        protocol.receive(_unsubscribe("private-a"), 0)


def test_signed_meanwhile() -> None:
    """A client that then sends a signature does not wait for the application."""
    protocol = _asking()
    protocol.receive(_without_auth("private-a"), 0)

    assert [] == list(protocol.channels)
    assert isinstance(protocol.receive(subscribe("private-a"), 0), SubscriptionRequested)
    assert protocol.authorized("private-a", _auth("private-a"), None) is None
    assert SubscriptionCancelled("private-a") == protocol.receive(_unsubscribe("private-a"), 0)


def test_who_was_let_in_is_not_asked_about_again() -> None:
    """A subscription that is there gets the same answer as the first time."""
    protocol = _asking()
    protocol.receive(subscribe("presence-a", MEMBER), 0)
    event = protocol.receive(_without_auth("presence-a"), 0)

    assert isinstance(event, SubscriptionRequested)
    assert event.member is not None


def test_asking_counts_as_a_subscription() -> None:
    """The limit of subscriptions also bounds how many the application is asked about."""
    protocol = _asking(max_subscriptions=1)
    protocol.receive(_without_auth("private-a"), 0)

    with pytest.raises(SubscriptionLimitError):
        protocol.receive(_without_auth("private-b"), 0)


def test_signin() -> None:
    """Who its user is can be asked for, too."""
    protocol = _asking()
    request = message("pusher:signin", {"auth": "", "user_data": ""})

    assert AuthenticationNeeded() == protocol.receive(request, 0)
    auth = f"{KEY}:{sign_user(SECRET, SOCKET_ID, USER)}"
    assert isinstance(protocol.authenticated(auth, USER), SignedIn)
    assert isinstance(protocol.authenticated(auth, USER), Reply)
    with pytest.raises(SigninError):
        protocol.authenticated(f"{KEY}:00", USER)
    with pytest.raises(SigninError, match="nobody"):
        protocol.signin_denied("nobody")


def test_signin_with_a_signature() -> None:
    """Who sends a signature is judged by it."""
    assert isinstance(_asking().receive(signin(USER), 0), SignedIn)
    with pytest.raises(SigninError):
        _asking().receive(signin(USER, secret=b"other"), 0)


def test_signin_is_not_asked_for_unless_that_is_on() -> None:
    """By default, no signature is a wrong signature."""
    with pytest.raises(SigninError):
        conversation().receive(message("pusher:signin", {"auth": "", "user_data": USER}), 0)


def test_messages_are_json() -> None:
    """What is sent for a subscription that the application let in is what is always sent."""
    protocol = _asking()
    protocol.receive(_without_auth("private-a"), 0)
    protocol.authorized("private-a", _auth("private-a"), "")

    assert "private-a" == json.loads(protocol.confirm("private-a"))["channel"]
