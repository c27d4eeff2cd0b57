"""Who is let in by the name of a channel and a signature: every way to be refused."""

import json

import pytest

from pogo.pusher.errors import ClientEventError, UnauthorizedSubscriptionError
from pogo.pusher.events import SubscriptionRequested
from pogo.pusher.protocol import error_messages
from tests.pusher.forgeries import GUARDED, OPEN, Signer, forgeries
from tests.pusher.helpers import KEY, SECRET, SOCKET_ID, conversation, message

SIGNER = Signer(KEY, SECRET, SOCKET_ID)


@pytest.mark.parametrize("channel", GUARDED)
@pytest.mark.parametrize("forgery", forgeries(SIGNER, "private-a"))
def test_forged_signatures(channel: str, forgery: str) -> None:
    """Nothing is subscribed; the client is told by `pusher:error`, and on the channel."""
    protocol = conversation()
    data = forgeries(SIGNER, channel)[forgery]
    with pytest.raises(UnauthorizedSubscriptionError) as caught:
        protocol.receive(message("pusher:subscribe", data), 0)
    error, refusal = map(json.loads, error_messages(caught.value))

    assert ("pusher:error", 4009) == (error["event"], error["data"]["code"])
    assert ("pusher:subscription_error", channel) == (refusal["event"], refusal["channel"])
    assert ("AuthError", 401) == (refusal["data"]["type"], refusal["data"]["status"])
    assert [] == list(protocol.channels)
    with pytest.raises(ClientEventError):
        protocol.receive(message("client-x", {}, channel=channel), 0)


@pytest.mark.parametrize("channel", GUARDED)
def test_refused_and_then_let_in(channel: str) -> None:
    """A forgery leaves nothing behind, and the application's own signature lets the client in."""
    protocol = conversation()
    for data in forgeries(SIGNER, channel).values():
        with pytest.raises(UnauthorizedSubscriptionError):
            protocol.receive(message("pusher:subscribe", data), 0)
    event = protocol.receive(message("pusher:subscribe", SIGNER.request(channel)), 0)

    assert isinstance(event, SubscriptionRequested)
    assert channel == event.channel


@pytest.mark.parametrize("channel", GUARDED)
def test_a_forgery_ends_no_subscription(channel: str) -> None:
    """Whoever asks again with a forgery is refused, and keeps the subscription they have."""
    protocol = conversation()
    protocol.receive(message("pusher:subscribe", SIGNER.request(channel)), 0)
    protocol.confirm(channel)
    for data in forgeries(SIGNER, channel).values():
        with pytest.raises(UnauthorizedSubscriptionError):
            protocol.receive(message("pusher:subscribe", data), 0)

    assert [channel] == list(protocol.channels)


@pytest.mark.parametrize("channel", OPEN)
def test_open_channels(channel: str) -> None:
    """Other channels ask for no signature, and look at none."""
    data = {"channel": channel, "auth": f"{KEY}:{'0' * 64}"}
    for request in ({"channel": channel}, data):
        event = conversation().receive(message("pusher:subscribe", request), 0)

        assert isinstance(event, SubscriptionRequested)
        assert channel == event.channel
