"""Pusher's SDKs for servers, of npm and of PyPI, unchanged, with pusher-js as their subscriber.

Every test runs against `pogo serve` alone, and against three edges and two brokers on NATS and on
Redis. That something does *not* arrive is told by what was published after it.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.application import Application, running_application
from tests.e2e.clients import PusherClient
from tests.e2e.cluster import Cluster, Service, running_bus
from tests.e2e.conftest import Connect
from tests.e2e.driver import Driver
from tests.e2e.hooks import Hooks, running_hooks
from tests.e2e.sdks import Sdk, SdkError, node_sdk, python_sdk

FENCE = "fence"
DATA = {"title": "Grüße/世界 🎉", "n": [1, 2.5, None, True]}


@dataclass(frozen=True, slots=True)
class Site:
    """The edges and brokers under test; of `pogo serve`, the same process three times."""

    edges: list[Service]
    brokers: list[Service]


def named(prefix: str = "") -> str:
    """Make a channel name that no other test uses."""
    return prefix + uuid4().hex[:12]


@pytest.fixture(name="where")
def _where() -> str:
    """Run all clients in Node: what differs here is the back end."""
    return "node"


@pytest.fixture(name="application", scope="module")
def _application() -> Iterator[Application]:
    # The Python SDK takes nothing but a number for an id.
    with running_application("1", "sdk-key", secrets.token_hex(16)) as application:
        yield application


@pytest.fixture(name="hooks", scope="module")
def _hooks() -> Iterator[Hooks]:
    with running_hooks() as hooks:
        yield hooks


@pytest.fixture(name="site", scope="module", params=["serve", "nats", "redis"])
def _site(
    request: pytest.FixtureRequest,
    application: Application,
    hooks: Hooks,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    told = {"POGO_WEBHOOK_URL": hooks.url, "POGO_WEBHOOK_DELAY": "200ms"}
    with running_bus(request.param, folder) as settings:
        cluster = Cluster(application, {**settings, **told}, folder)
        try:
            cluster.start()
            yield _whole(cluster, request.param)
        finally:
            cluster.stop()
    assert [] == cluster.errors()


def _whole(cluster: Cluster, kind: str) -> Site:
    if kind == "serve":
        return Site(cluster.edges * 3, cluster.brokers * 2)
    return Site([*cluster.edges, cluster.start_edge()], cluster.brokers)


@pytest.fixture(name="language", scope="module", params=["node", "python"])
def _language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="sdks", scope="module")
def _sdks(
    language: str, site: Site, application: Application, driver: Driver
) -> Iterator[list[Sdk]]:
    """One SDK for each broker."""
    with ExitStack() as stack:
        sdks: list[Sdk] = []
        for broker in site.brokers:
            port = broker.http_port
            if language == "node":
                sdks.append(stack.enter_context(node_sdk(driver, port, application)))
            else:
                sdks.append(stack.enter_context(python_sdk(port, application)))
        yield sdks


@pytest.fixture(name="sdk")
def _sdk(sdks: list[Sdk]) -> Sdk:
    return sdks[0]


class Guests:
    """Clients whose channels and users the SDK under test signs."""

    def __init__(self, connect: Connect, site: Site, sdk: Sdk) -> None:
        self._connect = connect
        self._site = site
        self._url = sdk.auth_url

    def at(self, edge: int, user: str = "ada") -> PusherClient:
        """Connect to one of the edges."""
        return self._connect(
            self._site.edges[edge],
            user=user,
            channelAuthorization=self._asking("/auth", user),
            userAuthentication=self._asking("/user-auth", user),
        )

    def _asking(self, path: str, user: str) -> dict[str, Any]:
        return {"transport": "ajax", "endpoint": self._url + path, "params": {"user": user}}


@pytest.fixture(name="guests")
def _guests(connect: Connect, site: Site, sdk: Sdk) -> Guests:
    return Guests(connect, site, sdk)


# Publishing


@pytest.mark.parametrize("kind", ["", "private-", "presence-", "cache-", "private-encrypted-"])
def test_trigger(sdks: list[Sdk], guests: Guests, kind: str) -> None:
    """What either broker is told reaches the subscribers of all edges, who can decrypt it."""
    channel = named(kind)
    clients = [guests.at(edge, f"user-{edge}") for edge in range(3)]
    for client in clients:
        client.join(channel)
    for number, sdk in enumerate(sdks):
        assert {} == sdk.trigger([channel], f"event-{number}", DATA)
    for client in clients:
        assert [DATA, DATA] == [
            client.take(f"event-{number}", channel).data for number in range(len(sdks))
        ]


def test_text_is_passed_on_untouched(sdk: Sdk, guests: Guests) -> None:
    """Text is text to Pusher: what is no JSON arrives as it was given."""
    channel = named()
    client = guests.at(0)
    client.join(channel)
    for text in ("hello", "", '"', "{'no': 'json'}"):
        assert {} == sdk.trigger([channel], "text", text)
        assert text == client.take("text", channel).data


def test_several_channels(sdk: Sdk, guests: Guests) -> None:
    """One event goes to up to a hundred channels."""
    channels = [named() for _ in range(100)]
    client = guests.at(1)
    for channel in (channels[0], channels[-1]):
        client.join(channel)
    assert {} == sdk.trigger(channels, "all", DATA)

    assert DATA == client.take("all", channels[0]).data
    assert DATA == client.take("all", channels[-1]).data


def test_the_excluded_connection(sdk: Sdk, guests: Guests) -> None:
    """The one that an event came from does not get it, wherever it is connected."""
    channel = named()
    sender, other = guests.at(0), guests.at(1)
    for client in (sender, other):
        client.join(channel)
    sdk.trigger([channel], "not-for-sender", DATA, socket_id=sender.socket_id)
    batch = {"channel": channel, "name": "nor-this", "data": DATA, "socket_id": sender.socket_id}
    sdk.trigger_batch([batch])
    sdk.trigger([channel], FENCE, "")

    for client in (sender, other):
        client.take(FENCE, channel)
    other.take("not-for-sender", channel)
    other.take("nor-this", channel)
    assert ["pusher:subscription_succeeded"] >= sender.events(channel)


def test_batch(sdk: Sdk, guests: Guests) -> None:
    """Ten events of one request arrive in their order; one of them may be encrypted."""
    channel, sealed = named(), named("private-encrypted-")
    client = guests.at(2)
    client.join(channel)
    client.join(sealed)
    batch = [{"channel": channel, "name": f"event-{n}", "data": {"n": n}} for n in range(9)]
    assert {} == sdk.trigger_batch([*batch, {"channel": sealed, "name": "sealed", "data": DATA}])

    assert DATA == client.take("sealed", sealed).data
    client.take("event-8", channel)
    assert [f"event-{n}" for n in range(8)] == client.events(channel)


def test_info_of_a_trigger(sdk: Sdk, guests: Guests, language: str) -> None:
    """A request is answered with what it asks about its channels, counted over all edges."""
    if language == "python":
        # It can ask with a batch only.
        with pytest.raises(TypeError):
            sdk.trigger([named()], "event", DATA, info="user_count")
        return
    channel, empty = named("presence-"), named("presence-")
    for edge, user in ((0, "ada"), (1, "bob"), (2, "ada")):
        guests.at(edge, user).join(channel)
    answer = sdk.trigger([channel, empty], "event", DATA, info="user_count")

    assert {"channels": {channel: {"user_count": 2}, empty: {"user_count": 0}}} == answer


def test_info_of_a_batch(sdk: Sdk, guests: Guests) -> None:
    """The answer has a place for each event, in their order."""
    rooms, news = named("presence-"), named()
    for edge, user in ((0, "ada"), (1, "bob"), (2, "ada")):
        client = guests.at(edge, user)
        client.join(rooms)
        client.join(news)
    event = {"name": "event", "data": DATA}
    answer = sdk.trigger_batch(
        [
            {**event, "channel": rooms, "info": "user_count"},
            {**event, "channel": news},
            {**event, "channel": news, "info": "subscription_count"},
        ]
    )

    assert {"batch": [{"user_count": 2}, {}, {"subscription_count": 3}]} == answer


# Asking


def test_channels(sdks: list[Sdk], guests: Guests) -> None:
    """Occupied channels are listed, each once, with the users of presence channels."""
    group = uuid4().hex[:8]
    rooms = [f"presence-{group}-{name}" for name in ("a", "b")]
    news = f"{group}-news"
    ada, bob = guests.at(0, "ada"), guests.at(2, "bob")
    for client, channel in ((ada, rooms[0]), (bob, rooms[0]), (bob, rooms[1]), (ada, news)):
        client.join(channel)
    for sdk in sdks:
        assert {news, *rooms} <= set(sdk.channels()["channels"])
        assert {"channels": {news: {}}} == sdk.channels(prefix=group)
        counted = {rooms[0]: {"user_count": 2}, rooms[1]: {"user_count": 1}}
        assert {"channels": counted} == sdk.channels(f"presence-{group}", "user_count")
        assert {"channels": {}} == sdk.channels(prefix=f"{group}-nobody")
    with pytest.raises(SdkError) as refused:
        sdks[0].channels(info="user_count")
    assert 400 == refused.value.status


def test_channel(sdk: Sdk, guests: Guests) -> None:
    """A channel is occupied or not, and what it counts depends on its kind."""
    room, news, empty = named("presence-"), named(), named()
    for edge, user in ((0, "ada"), (1, "bob"), (2, "ada")):
        client = guests.at(edge, user)
        client.join(room)
        client.join(news)

    assert {"occupied": True} == sdk.channel(news)
    assert {"occupied": True, "subscription_count": 3} == sdk.channel(news, "subscription_count")
    assert {"occupied": True, "user_count": 2} == sdk.channel(room, "user_count")
    assert {"occupied": False} == sdk.channel(empty)
    with pytest.raises(SdkError) as refused:
        sdk.channel(news, "user_count")
    assert 400 == refused.value.status


def test_cached_event(sdk: Sdk) -> None:
    """The last event of a cache channel can be read back."""
    channel = named("cache-")
    before = sdk.channel(channel, "cache")
    sdk.trigger([channel], "price", '{"eur": 5}')
    after = sdk.channel(channel, "cache")

    assert {"occupied": False, "cache": None} == before
    assert '{"eur": 5}' == after["cache"]["data"]
    assert 0 < after["cache"]["ttl"] <= 30 * 60


def test_users(sdks: list[Sdk], guests: Guests) -> None:
    """Who is on a presence channel is told once each, wherever they are connected."""
    room = named("presence-")
    for edge, user in ((0, "ada"), (1, "bob"), (2, "ada")):
        guests.at(edge, user).join(room)
    for sdk in sdks:
        assert ["ada", "bob"] == sorted(user["id"] for user in sdk.users(room)["users"])
    assert {"users": []} == sdks[0].users(named("presence-"))
    with pytest.raises(SdkError) as refused:
        sdks[0].users(named())
    assert 400 == refused.value.status


# Users


def test_send_to_user(sdks: list[Sdk], guests: Guests) -> None:
    """It reaches all connections of a signed-in user, and nobody else's."""
    ada, bob = named("ada-"), named("bob-")
    mine = [guests.at(0, ada), guests.at(2, ada)]
    other = guests.at(1, bob)
    for client in (*mine, other):
        client.sign_in()
    for number, sdk in enumerate(sdks):
        assert {} == sdk.send_to_user(ada, f"event-{number}", DATA)
    sdks[-1].send_to_user(bob, FENCE, DATA)

    for client in mine:
        for number in range(len(sdks)):
            assert DATA == client.take(f"event-{number}", "user").data
    other.take(FENCE, "user")
    assert [] == [event for event in other.events("user") if event.startswith("event-")]


def test_terminate(sdk: Sdk, guests: Guests) -> None:
    """All connections of a user are closed for good, and nobody else's."""
    ada, bob, channel = named("ada-"), named("bob-"), named()
    mine = [guests.at(0, ada), guests.at(2, ada)]
    other = guests.at(1, bob)
    for client in (*mine, other):
        client.sign_in()
    other.join(channel)
    assert {} == sdk.terminate(ada)

    for client in mine:
        assert 4009 == client.take("error:WebSocketError").data["error"]["data"]["code"]
        client.take("state:disconnected")
    sdk.trigger([channel], FENCE, "")
    other.take(FENCE, channel)
    assert {} == sdk.terminate(named("nobody-"))


# Signatures


def test_the_sdk_lets_clients_in(guests: Guests) -> None:
    """What it signs is accepted, on every kind of channel that needs it, and for its user."""
    client = guests.at(0, "ada")
    for kind in ("private-", "private-cache-", "private-encrypted-", "private-encrypted-cache-"):
        client.join(named(kind))
    for kind in ("presence-", "presence-cache-"):
        members = client.join(named(kind))

        assert {"ada": {"name": "ada"}} == members["members"]
    client.sign_in()


def test_a_wrong_secret(
    site: Site, application: Application, language: str, driver: Driver, connect: Connect
) -> None:
    """Whoever has another secret can neither publish, nor ask, nor let anybody in."""
    thief = replace(application, secret="guessed")
    port = site.brokers[0].http_port
    opened = node_sdk(driver, port, thief) if language == "node" else python_sdk(port, thief)
    with opened as sdk:
        requests: list[Callable[[], object]] = [
            lambda: sdk.trigger([named()], "event", DATA),
            lambda: sdk.trigger_batch([{"channel": named(), "name": "event", "data": DATA}]),
            sdk.channels,
            lambda: sdk.terminate("ada"),
        ]
        for request in requests:
            with pytest.raises(SdkError) as refused:
                request()
            assert 401 == refused.value.status
        channel = named("private-")
        client = Guests(connect, site, sdk).at(0)
        client.subscribe(channel)

        assert 401 == client.take("pusher:subscription_error", channel).data["status"]


# Webhooks


def test_webhooks(sdk: Sdk, guests: Guests, hooks: Hooks, application: Application) -> None:
    """All seven kinds arrive, and the SDK takes them for genuine, and nothing else."""
    room, cache = named("presence-"), named("cache-")
    ada, bob = guests.at(0, "ada"), guests.at(2, "bob")
    for client in (ada, bob):
        client.join(room)
    ada.join(cache)
    ada.trigger(room, "client-typed", {"n": 1})
    told = [
        hooks.take(name="channel_occupied", channel=room),
        hooks.take(name="member_added", channel=room, user_id="bob"),
        hooks.take(name="client_event", channel=room, event="client-typed", user_id="ada"),
        hooks.take(name="subscription_count", channel=cache, subscription_count=1),
        hooks.take(name="cache_miss", channel=cache),
    ]
    bob.order("unsubscribe", channel=room)
    told.append(hooks.take(name="member_removed", channel=room, user_id="bob"))
    ada.order("unsubscribe", channel=room)
    told.append(hooks.take(name="channel_vacated", channel=room))

    for request, event in told:
        headers = {name.lower(): value for name, value in request.headers}
        body = request.body.decode()
        content = sdk.webhook(headers, body)

        assert content is not None
        assert event in content["events"]
        assert sdk.webhook(headers, body.replace(room, "other").replace(cache, "other")) is None
        assert sdk.webhook({**headers, "x-pusher-signature": "0" * 64}, body) is None
        assert sdk.webhook({**headers, "x-pusher-key": "other"}, body) is None
    assert '{"n":1}' == told[2][1]["data"]
    assert application.key == told[0][0].header("X-Pusher-Key")
