from pydantic import SecretStr

from pogo.settings import App, Webhook
from pogo.settings.webhooks import ALL_EVENTS
from pogo.webhooks import DEFAULT_ENDPOINT, Endpoints, Queue

URL = "http://127.0.0.1:1/"


def app(app_id: str, *webhooks: Webhook) -> App:
    """Make an app with these endpoints."""
    return App(id=app_id, secret=SecretStr("secret"), webhooks=webhooks)


EVERYTHING = Webhook(url=URL, name="everything")
CLIENTS = Webhook(
    url=URL, name="clients", events=("client_event",), channel_prefixes=("private-", "presence-a")
)


def test_events_go_to_those_who_want_them() -> None:
    """An endpoint is found by the event, and by how the channel's name begins."""
    endpoints = Endpoints([app("one", EVERYTHING, CLIENTS), app("two", CLIENTS)], "")
    everything, clients = Queue("one", "everything"), Queue("one", "clients")

    assert (everything, clients) == endpoints.matching("one", "client_event", "private-x")
    assert (everything, clients) == endpoints.matching("one", "client_event", "presence-ab")
    assert (everything,) == endpoints.matching("one", "client_event", "presence-b")
    assert (everything,) == endpoints.matching("one", "cache_miss", "private-x")
    assert () == endpoints.matching("two", "cache_miss", "private-x")
    assert () == endpoints.matching("three", "client_event", "private-x")


def test_what_is_sent_to_one_user_is_nobody_elses_business() -> None:
    """The channels of signed-in users cause no webhooks, whatever is wanted."""
    endpoints = Endpoints([app("one", EVERYTHING)], "")

    assert {()} == {endpoints.matching("one", event, "#server-to-user-7") for event in ALL_EVENTS}


def test_apps_without_endpoints_have_the_default() -> None:
    """`webhook_url` is the endpoint of apps that name none themselves."""
    endpoints = Endpoints([app("one", CLIENTS), app("two")], URL)
    (default,) = endpoints.of("two")

    assert (URL, DEFAULT_ENDPOINT) == (default.url, default.name)
    assert (Queue("two", DEFAULT_ENDPOINT),) == endpoints.matching("two", "cache_miss", "cache-a")
    assert (CLIENTS,) == endpoints.of("one")
    assert ("one", "two") == endpoints.app_ids


def test_who_wants_what() -> None:
    """An app wants what any of its endpoints wants."""
    endpoints = Endpoints([app("one", CLIENTS)], "")

    assert endpoints.wants("one", "client_event")
    assert endpoints.wants("one", "cache_miss", "client_event")
    assert not endpoints.wants("one", "cache_miss", "member_added")
    assert not endpoints.wants("two", *ALL_EVENTS)


def test_apps_are_replaced() -> None:
    """Nothing of the apps of before is left."""
    endpoints = Endpoints([app("one", EVERYTHING), app("two", CLIENTS)], "")
    endpoints.replace([app("two", EVERYTHING), app("three")])

    assert ("two",) == endpoints.app_ids
    assert () == endpoints.of("one")
    assert not endpoints.wants("one", *ALL_EVENTS)
    assert (Queue("two", "everything"),) == endpoints.matching("two", "client_event", "private-x")
