"""An application that was written for the FrankenPHP module moves over as it is.

Its own driver `pogo` publishes by the module's two functions and knows nothing of the package.
"""

import asyncio
import hashlib
import hmac
import json

import pytest

from tests.e2e.cluster import Service
from tests.laravel.application import Shop
from tests.laravel.conftest import APP_ID, KEY, SECRET, Open
from tests.laravel.subscriber import subscriber
from tests.servers import free_port

MODULE = {"POGO_TEST_DRIVER": "module", "POGO_APP_ID": "", "POGO_APP_SECRET": ""}


@pytest.fixture(name="moved")
def _moved(open_shop: Open, server: Service) -> Shop:
    # The module's own names of the credentials.
    named = {"WS_APP_ID": APP_ID, "WS_APP_SECRET": SECRET}
    return open_shop(**MODULE, **named, POGO_BROKER=server.grpc)


def _announce(shop: Shop, *channels: str) -> tuple[int, str]:
    announcement = {"channels": channels, "event": "news", "data": {"text": "hello"}}
    visitor = shop.visitor().log_in("ada")
    answer = visitor.post("/announce", data=announcement, token=True)
    return answer.status, answer.body


@pytest.mark.parametrize("channels", [["wall"], ["wall", "hall"]])
def test_functions_publish(moved: Shop, server: Service, channels: list[str]) -> None:
    """What the driver publishes by the functions reaches the subscribers of each channel."""
    with subscriber(server.port, KEY) as client:
        for channel in channels:
            client.subscribe(channel)
        assert 204 == _announce(moved, *channels)[0]
        received = [client.receive() for _ in channels]

    assert sorted(channels) == sorted(message["channel"] for message in received)
    assert {"news"} == {message["event"] for message in received}
    assert [{"text": "hello"}] * len(channels) == [json.loads(each["data"]) for each in received]


def test_functions_publish_with_cached_configuration(moved: Shop, server: Service) -> None:
    """They also do where Laravel has cached its configuration, and reads no .env any more."""
    moved.artisan("config:cache")
    moved.kill()
    for name in ("WS_APP_ID", "WS_APP_SECRET", "POGO_APP_KEY", "POGO_BROKER"):
        del moved.environment[name]
    asyncio.run(moved.start())
    with subscriber(server.port, KEY) as client:
        client.subscribe("wall")
        assert (204, "") == _announce(moved, "wall")
        assert "wall" == client.receive()["channel"]


def test_functions_answer_codes(open_shop: Open) -> None:
    """A broker that is away is code 6 to the driver, not an exception of the package."""
    named = {"WS_APP_ID": APP_ID, "WS_APP_SECRET": SECRET}
    shop = open_shop(**MODULE, **named, POGO_BROKER=f"127.0.0.1:{free_port()}")
    status, body = _announce(shop, "wall")

    assert 502 == status
    assert "the module answered 6" in body


def test_applications_driver_signs(moved: Shop) -> None:
    """The application's driver wins over the package's: it signs what the routes are asked for."""
    visitor = moved.visitor().log_in("ada")
    answer = visitor.sign("1.2", "private-orders.1")

    digest = hmac.new(SECRET.encode(), b"1.2:private-orders.1", hashlib.sha256).hexdigest()
    assert {"auth": f"{APP_ID}:{digest}"} == answer.json
    assert 403 == visitor.sign("1.2", "private-orders.2").status


def test_application_without_user_authentication(moved: Shop) -> None:
    """A driver that cannot sign users in refuses them, and that is no fault."""
    assert 403 == moved.visitor().log_in("ada").sign_in("1.2").status
