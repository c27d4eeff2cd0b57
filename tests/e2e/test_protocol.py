"""What browsers see: pusher-js and Laravel Echo, unchanged, against each way to run Pogo.

Every test runs against `pogo serve` alone, and against two edges and two brokers on NATS and on
Redis, with clients in Node and in Chromium. That something does *not* arrive is told by what was
published after it: that arrives, and the other has not.
"""

import json
import re
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as websocket

from tests.e2e.application import Application
from tests.e2e.clients import SUCCEEDED, EchoClient
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Balance, Connect, ConnectEcho
from tests.e2e.driver import Driver

FENCE = "fence"


def named(prefix: str = "") -> str:
    """Make a channel name that no other test uses."""
    return prefix + uuid4().hex[:12]


# Connecting


def test_connection_is_established(cluster: Cluster, connect: Connect) -> None:
    """Clients connect and get socket ids of Pusher's form, each its own."""
    ids = [connect(cluster.edges[0]).socket_id, connect(cluster.edges[-1]).socket_id]

    assert all(re.fullmatch(r"\d+\.\d+", socket_id) for socket_id in ids)
    assert ids[0] != ids[1]


def test_wrong_key_is_refused_for_good(
    cluster: Cluster, connect: Connect, balance: Balance
) -> None:
    """A client with an unknown key is closed with 4001 and gives up."""
    balancer = balance(cluster.edges[0])
    client = connect(balancer, key="nobody", wait=False)

    assert 4001 == client.take("error:WebSocketError").data["error"]["data"]["code"]
    client.take("state:disconnected")
    assert 1 == balancer.accepted


def test_unknown_protocol_is_refused(cluster: Cluster, application: Application) -> None:
    """A client that speaks a protocol of the future is closed with 4007."""
    url = f"ws://127.0.0.1:{cluster.edges[0].port}/app/{application.key}?protocol=99"
    with websocket(url) as socket:
        assert 4007 == json.loads(socket.recv(timeout=5))["data"]["code"]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)

    assert closed.value.rcvd is not None
    assert 4007 == closed.value.rcvd.code


def test_ping_is_answered(cluster: Cluster, connect: Connect) -> None:
    """A client that heard nothing for a while pings, gets its pong, and stays."""
    client = connect(cluster.edges[0], activityTimeout=200)

    assert {} == client.take("pusher:pong").data
    assert {} == client.take("pusher:pong").data
    assert "state:connecting" not in client.events()


def test_client_moves_to_another_edge(cluster: Cluster, connect: Connect, balance: Balance) -> None:
    """A client whose edge stops is told 4200, comes back elsewhere and has its channels again."""
    channel = named()
    leaving = cluster.start_edge()
    client = connect(balance(leaving, cluster.edges[0]))
    client.join(channel)

    leaving.stop()

    assert 4200 == client.take("error:WebSocketError").data["error"]["data"]["code"]
    client.take("state:connected")
    client.take(SUCCEEDED, channel)
    cluster.publish(channel, "hello", '"again"')
    assert "again" == client.take("hello", channel).data


# Receiving


@pytest.mark.parametrize("kind", ["", "private-", "presence-"])
def test_event_arrives(cluster: Cluster, connect: Connect, kind: str) -> None:
    """An event that a back end publishes reaches a subscriber of each kind of channel."""
    channel = named(kind)
    client = connect(cluster.edges[0], user="ada")
    client.join(channel)

    cluster.publish(channel, "App\\Events\\Shipped", '{"order": 42}')

    assert {"order": 42} == client.take("App\\Events\\Shipped", channel).data


def test_encrypted_event_arrives(
    cluster: Cluster, connect: Connect, driver: Driver, application: Application
) -> None:
    """What was encrypted for a channel is decrypted by its subscriber: it passes untouched."""
    channel = named("private-encrypted-")
    client = connect(cluster.edges[0])
    client.join(channel)
    data = '{"card": "4242", "by": "Ælfrēd"}'
    secret = application.shared_secret(channel)

    encrypted = driver.call("backend", "encrypt", sharedSecret=secret, data=data)
    cluster.publish(channel, "paid", json.dumps(encrypted))

    assert json.loads(data) == client.take("paid", channel).data


@pytest.mark.parametrize(
    "data",
    [
        '"hello"',
        '""',
        "17.0",
        "null",
        '{"b" : 1,\n"a":[ ]}',
        '{"text": "smörgåsbord 🎉 \\u00e9 \\u2028"}',
        '"{\\"a\\":\\"{\\\\\\"b\\\\\\":1}\\"}"',
    ],
)
def test_data_arrives_untouched(cluster: Cluster, application: Application, data: str) -> None:
    """The data of an event is the very text that was published."""
    channel = named()
    url = f"ws://127.0.0.1:{cluster.edges[0].port}/app/{application.key}?protocol=7"
    with websocket(url) as socket:
        socket.recv(timeout=5)
        socket.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
        socket.recv(timeout=5)

        cluster.publish(channel, "changed", data)
        frame = json.loads(socket.recv(timeout=5))

    assert {"event": "changed", "channel": channel, "data": data} == frame


def test_every_edge_delivers_once(cluster: Cluster, connect: Connect) -> None:
    """An event from any broker reaches clients on both edges once, but not the excluded one."""
    channel = named()
    others = [connect(edge) for edge in (cluster.edges[0], cluster.edges[-1])]
    excluded = connect(cluster.edges[-1])
    for client in (*others, excluded):
        client.join(channel)

    for broker in (0, -1):
        cluster.publish(channel, "moved", "{}", socket_id=excluded.socket_id, broker=broker)
    cluster.publish(channel, FENCE, "{}")

    for client in (*others, excluded):
        client.take(FENCE, channel)
    twice = ["moved", "moved"]
    assert [twice, twice, []] == [each.events(channel) for each in (*others, excluded)]


def test_broadcast_reaches_each_channel(cluster: Cluster, connect: Connect) -> None:
    """One event on several channels reaches the subscribers of each of them."""
    channels = [named(), named("private-"), named("presence-")]
    client = connect(cluster.edges[0], user="ada")
    for channel in channels:
        client.join(channel)

    cluster.broadcast(channels, "news", '{"id": 7}')

    assert [{"id": 7}] * 3 == [client.take("news", channel).data for channel in channels]


def test_unsubscribed_channel_is_silent(cluster: Cluster, connect: Connect) -> None:
    """After unsubscribing nothing arrives, and after subscribing again everything does."""
    channel, other = named(), named()
    client, witness = connect(cluster.edges[0]), connect(cluster.edges[0])
    client.join(other)
    client.join(channel)
    witness.join(channel)

    client.order("unsubscribe", channel=channel)
    client.join(named())  # answered after the unsubscription was carried out
    cluster.publish(channel, "missed", "{}")
    witness.take("missed", channel)
    cluster.publish(other, FENCE, "{}")
    client.take(FENCE, other)
    assert [] == client.events(channel)

    client.join(channel)
    cluster.publish(channel, "back", "{}")
    client.take("back", channel)
    assert [] == client.events(channel)


# Who may subscribe


@pytest.mark.parametrize("kind", ["private-", "presence-", "private-encrypted-"])
def test_forged_signature_is_refused(cluster: Cluster, connect: Connect, kind: str) -> None:
    """A signature made with another secret is reported, and the channel stays silent."""
    channel, other = named(kind), named()
    forger = connect(cluster.edges[0], user="forger")
    forger.join(other)
    witness = connect(cluster.edges[0], user="ada")
    witness.join(channel)

    forger.subscribe(channel)

    assert 4009 == forger.take("pusher:error").data["code"]
    assert "AuthError" == forger.take("pusher:subscription_error", channel).data["type"]
    cluster.publish(channel, "secret", '{"nonce": "", "ciphertext": ""}')
    cluster.publish(other, FENCE, "{}")
    forger.take(FENCE, other)
    assert [] == forger.events(channel)
    assert "state:disconnected" not in forger.events()


def test_application_refuses(cluster: Cluster, connect: Connect) -> None:
    """Where the application does not sign, pusher-js says so and Pogo is not even asked."""
    channel = named("private-")
    client = connect(cluster.edges[0], user="stranger")

    client.subscribe(channel)

    assert 403 == client.take("pusher:subscription_error", channel).data["status"]


# Client events


def test_client_event_reaches_others(cluster: Cluster, connect: Connect) -> None:
    """A client event reaches the other subscribers on every edge, and not its sender."""
    channel = named("private-")
    sender = connect(cluster.edges[0])
    others = [connect(edge) for edge in (cluster.edges[0], cluster.edges[-1])]
    for client in (sender, *others):
        client.join(channel, client_events=["client-typing"])

    sender.trigger(channel, "client-typing", {"key": "ö"})

    for other in others:
        report = other.take("client-typing", channel)
        assert ({"key": "ö"}, None) == (report.data, report.user_id)
    cluster.publish(channel, FENCE, "{}")
    sender.take(FENCE, channel)
    assert [] == sender.events(channel)


def test_client_event_names_its_sender(cluster: Cluster, connect: Connect) -> None:
    """On a presence channel a client event carries the authenticated id of who sent it."""
    channel = named("presence-")
    sender = connect(cluster.edges[0], user="ada")
    other = connect(cluster.edges[-1], user="bob")
    for client in (sender, other):
        client.join(channel, client_events=["client-typing"])

    sender.trigger(channel, "client-typing", {"user_id": "eve"})

    report = other.take("client-typing", channel)
    assert ({"user_id": "eve"}, "ada") == (report.data, report.user_id)


def test_client_event_on_public_channel_is_refused(cluster: Cluster, connect: Connect) -> None:
    """On a public channel a client event is an error, and reaches nobody."""
    channel = named()
    sender, other = connect(cluster.edges[0]), connect(cluster.edges[0])
    for client in (sender, other):
        client.join(channel, client_events=["client-typing"])

    sender.trigger(channel, "client-typing", {})

    assert "client event" in sender.take("pusher:error").data["message"].lower()
    cluster.publish(channel, FENCE, "{}")
    other.take(FENCE, channel)
    assert [] == other.events(channel)


# Presence


def test_members_come_and_go(cluster: Cluster, connect: Connect) -> None:
    """Members see who is there when they join, who comes and who goes."""
    channel, edge = named("presence-"), cluster.edges[0]
    ada, bob = connect(edge, user="ada"), connect(edge, user="bob")

    assert {"ada": {"name": "Ada"}} == ada.join(channel)["members"]
    both = bob.join(channel)

    everyone = {"ada": {"name": "Ada"}, "bob": {"name": "Bob"}}
    assert (2, everyone, "bob") == (both["count"], both["members"], both["me"]["id"])
    bob_is_there = {"id": "bob", "info": {"name": "Bob"}}
    assert bob_is_there == ada.take("pusher:member_added", channel).data
    bob.order("unsubscribe", channel=channel)
    assert bob_is_there == ada.take("pusher:member_removed", channel).data
    assert {"ada": {"name": "Ada"}} == ada.order("members", channel=channel)["members"]


def test_member_is_a_user_not_a_connection(cluster: Cluster, connect: Connect) -> None:
    """A user comes with the first connection and goes with the last, however many there are."""
    channel, edge = named("presence-"), cluster.edges[0]
    watcher = connect(edge, user="ada")
    windows = [connect(edge, user="bob"), connect(edge, user="bob")]
    watcher.join(channel)

    for window in windows:
        assert "bob" in window.join(channel)["members"]
    windows[0].order("disconnect")
    carol = connect(edge, user="carol")
    assert {"ada", "bob", "carol"} == set(carol.join(channel)["members"])
    windows[1].order("disconnect")

    assert "bob" == watcher.take("pusher:member_removed", channel).data["id"]
    added = [watcher.take("pusher:member_added", channel).data["id"] for _ in range(2)]
    assert ["bob", "carol"] == added
    assert [] == watcher.events(channel)


# Users


def test_signed_in_user_is_reached(cluster: Cluster, connect: Connect) -> None:
    """What is published for a user reaches all the user's connections, and nobody else's."""
    windows = [connect(edge, user="ada") for edge in (cluster.edges[0], cluster.edges[-1])]
    other = connect(cluster.edges[0], user="bob")
    for client in (*windows, other):
        client.sign_in()

    cluster.publish("#server-to-user-ada", "note", '{"text": "for your eyes"}')
    cluster.publish("#server-to-user-bob", FENCE, "{}")

    for window in windows:
        assert {"text": "for your eyes"} == window.take("note", "user").data
    other.take(FENCE, "user")
    assert [] == other.events("user")


def test_forged_sign_in_is_refused(cluster: Cluster, connect: Connect) -> None:
    """A user whose sign-in was signed with another secret is not signed in."""
    client = connect(cluster.edges[0], user="forger")

    client.order("signin")

    assert 4009 == client.take("pusher:error").data["code"]


@pytest.mark.parametrize("signed_in", [False, True])
def test_channel_of_another_user_is_refused(
    cluster: Cluster, connect: Connect, *, signed_in: bool
) -> None:
    """Nobody can subscribe to what is meant for another user, signed in or not."""
    channel, other = "#server-to-user-ada", named()
    spy, ada = connect(cluster.edges[0], user="bob"), connect(cluster.edges[0], user="ada")
    spy.join(other)
    ada.sign_in()
    if signed_in:
        spy.sign_in()

    # pusher-js itself does not subscribe to such a channel when asked.
    spy.order("send", event="pusher:subscribe", data={"channel": channel, "auth": ""})

    assert 4009 == spy.take("pusher:error").data["code"]
    cluster.publish(channel, "note", "{}")
    ada.take("note", "user")
    cluster.publish(other, FENCE, "{}")
    spy.take(FENCE, other)
    assert ["pusher:subscription_error"] == spy.events(channel)


def test_signed_in_user_is_a_member(cluster: Cluster, connect: Connect) -> None:
    """Who is signed in joins a presence channel without `channel_data` of its own."""
    channel, edge = named("presence-"), cluster.edges[0]
    client = connect(edge, user="ada", channel_user="")
    client.sign_in()

    assert {"ada": {"name": "Ada"}} == client.join(channel)["members"]


# Laravel Echo

# Echo's method, and the prefix that it puts before the channel's name.
ECHO_KINDS = {
    "channel": "",
    "private": "private-",
    "encryptedPrivate": "private-encrypted-",
    "join": "presence-",
}


@pytest.mark.parametrize("broadcaster", ["pusher", "reverb"])
@pytest.mark.parametrize("kind", ["channel", "private", "join"])
def test_echo_listens(
    cluster: Cluster, connect_echo: ConnectEcho, kind: str, broadcaster: str
) -> None:
    """Echo hears Laravel's events by their class names, and others by `.name`."""
    channel = named("orders.")
    echo = connect_echo(cluster.edges[0], broadcaster=broadcaster)
    echo.listen(kind, channel, events=["OrderShipped", ".order.paid"])

    for event in ("App\\Events\\OrderShipped", "order.paid"):
        cluster.publish(ECHO_KINDS[kind] + channel, event, '{"order": {"id": 7}}')

    assert {"order": {"id": 7}} == echo.take("OrderShipped", channel).data
    assert {"order": {"id": 7}} == echo.take(".order.paid", channel).data


def test_echo_decrypts(
    cluster: Cluster, connect_echo: ConnectEcho, driver: Driver, application: Application
) -> None:
    """Echo hears what was encrypted for an encrypted channel."""
    channel = named()
    echo = connect_echo(cluster.edges[0])
    echo.listen("encryptedPrivate", channel, events=[".paid"])
    secret = application.shared_secret(f"private-encrypted-{channel}")

    encrypted = driver.call("backend", "encrypt", sharedSecret=secret, data='{"id": 7}')
    cluster.publish(f"private-encrypted-{channel}", "paid", json.dumps(encrypted))

    assert {"id": 7} == echo.take(".paid", channel).data


def test_echo_to_others(cluster: Cluster, connect_echo: ConnectEcho) -> None:
    """What is broadcast to others, by Echo's socket id, does not reach the one it came from."""
    channel = named()
    own, other = connect_echo(cluster.edges[0]), connect_echo(cluster.edges[-1])
    for echo in (own, other):
        echo.listen("private", channel, events=[".moved", f".{FENCE}"])

    socket_id = own.order("echoSocketId")
    cluster.publish(f"private-{channel}", "moved", "{}", socket_id=socket_id)
    cluster.publish(f"private-{channel}", FENCE, "{}")

    other.take(".moved", channel)
    own.take(f".{FENCE}", channel)
    assert [] == own.events(channel)


def test_echo_whispers(cluster: Cluster, connect_echo: ConnectEcho) -> None:
    """A whisper on a private and on a presence channel reaches the others."""
    channel = named()
    speaker, listener = connect_echo(cluster.edges[0]), connect_echo(cluster.edges[-1])
    for kind in ("private", "join"):
        for echo in (speaker, listener):
            echo.listen(kind, channel, whispers=["typing"])

        speaker.whisper(kind, channel, "typing", {"on": kind})

        assert {"on": kind} == listener.take("typing", channel).data
    assert "typing" not in speaker.events(channel)


def test_echo_room(cluster: Cluster, connect_echo: ConnectEcho) -> None:
    """Echo's room tells who is here, who joins and who leaves."""
    channel, edge = named("room."), cluster.edges[0]
    ada, bob = connect_echo(edge, user="ada"), connect_echo(edge, user="bob")

    ada.listen("join", channel)
    assert [{"name": "Ada"}] == ada.take("here", channel).data
    bob.listen("join", channel)
    assert [{"name": "Ada"}, {"name": "Bob"}] == bob.take("here", channel).data
    assert {"name": "Bob"} == ada.take("joining", channel).data
    leave(bob, channel)
    assert {"name": "Bob"} == ada.take("leaving", channel).data


def leave(echo: EchoClient, channel: str) -> None:
    """Leave a channel as Echo does."""
    echo.order("leave", channel=channel)
