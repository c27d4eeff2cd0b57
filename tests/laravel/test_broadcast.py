"""What the application broadcasts, through a real broker to real subscribers."""

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.cluster import Service, running_bus
from tests.laravel.application import MASTER_KEY, Shop, Visitor, php_path
from tests.laravel.conftest import KEY, SECRET, Open, Serve
from tests.laravel.subscriber import Subscriber, subscriber
from tests.servers import free_port

ORDER = "private-orders.1"


def _event(message: Mapping[str, str]) -> tuple[str, str, object]:
    return message["channel"], message["event"], json.loads(message["data"])


def _subscribed(client: Subscriber, visitor: Visitor, channel: str) -> None:
    client.subscribe(channel, visitor.sign(client.socket_id, channel).json)


def _announce(visitor: Visitor, channels: list[str], **data: object) -> None:
    announcement = {"channels": channels, "event": "news", "data": data}
    answer = visitor.post("/announce", data=announcement, token=True)
    assert answer.status == 204, answer


def test_event_reaches_others(shop: Shop, server: Service) -> None:
    """`toOthers` reaches all subscribers but the browser that asked, which the header names."""
    ada = shop.visitor().log_in("ada")
    with subscriber(server.port, KEY) as asking, subscriber(server.port, KEY) as other:
        _subscribed(asking, ada, ORDER)
        _subscribed(other, ada, ORDER)
        ada.post("/orders/1/ship", headers={"X-Socket-ID": asking.socket_id}, token=True)
        _announce(ada, [ORDER], fence=True)

        shipped = (ORDER, "App\\Events\\OrderShipped", {"id": 1, "total": 42})
        assert shipped == _event(other.receive())
        assert (ORDER, "news", {"fence": True}) == _event(asking.receive())


@pytest.mark.parametrize("socket_id", ["", "nobody", "1.2\t3.4", "9" * 5000 + ".1"])
def test_other_headers_leave_nobody_out(shop: Shop, server: Service, socket_id: str) -> None:
    """A header that is no socket id is no reason to fail, and everybody gets the event."""
    ada = shop.visitor().log_in("ada")
    with subscriber(server.port, KEY) as client:
        _subscribed(client, ada, ORDER)
        answer = ada.post("/orders/1/ship", headers={"X-Socket-ID": socket_id}, token=True)

        assert 204 == answer.status
        assert "App\\Events\\OrderShipped" == client.receive()["event"]


def test_event_on_several_channels(shop: Shop, server: Service) -> None:
    """One event reaches each of more channels than a call may have, once, also if named twice."""
    visitor = shop.visitor().log_in("ada")
    channels = [f"wall-{number}" for number in range(205)]
    with subscriber(server.port, KEY) as client:
        for channel in channels:
            client.subscribe(channel)
        _announce(visitor, [*channels, "wall-0"], text="hello")
        _announce(visitor, ["wall-0"], fence=True)
        received = [_event(client.receive()) for _ in range(len(channels) + 1)]

    fence = ("wall-0", "news", {"fence": True})
    expected = [(channel, "news", {"text": "hello"}) for channel in channels]
    assert sorted([*expected, fence], key=str) == sorted(received, key=str)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"text": "smörgåsbord 🎉 </script> / \u2028"},
        {"rate": 1.0, "nested": {"list": [1, None]}},
    ],
)
def test_data_arrives(shop: Shop, server: Service, data: dict[str, object]) -> None:
    """Any data of an event arrives as it was given; PHP knows one kind of empty array."""
    visitor = shop.visitor().log_in("ada")
    with subscriber(server.port, KEY) as client:
        client.subscribe("wall")
        _announce(visitor, ["wall"], **data)

        assert ("wall", "news", data or []) == _event(client.receive())


def test_encrypted_event(shop: Shop, server: Service) -> None:
    """An event for an encrypted channel can be read by who has the channel's key only."""
    channel = "private-encrypted-vault.ada"
    visitor = shop.visitor().log_in("ada")
    with subscriber(server.port, KEY) as client:
        signed = visitor.sign(client.socket_id, channel).json
        secret = signed.pop("shared_secret")
        client.subscribe(channel, signed)
        client.subscribe("wall")
        # Of several channels, each encrypted one gets an event of its own.
        _announce(visitor, ["wall", channel], card="4242")
        plain, encrypted = client.receive(), client.receive()

    assert ("wall", "news", {"card": "4242"}) == _event(plain)
    assert channel == encrypted["channel"]
    assert "4242" not in encrypted["data"]
    assert {"card": "4242"} == json.loads(_decrypt(encrypted["data"], secret))
    assert MASTER_KEY != secret


def _decrypt(data: str, secret: str) -> str:
    """Open the box as libsodium does, and no code of the package."""
    box = json.loads(data)
    assert len(base64.b64decode(box["nonce"])) == 24
    code = (
        "[$box, $nonce, $key] = array_map('base64_decode', array_slice($argv, 1));"
        "echo sodium_crypto_secretbox_open($box, $nonce, $key);"
    )
    arguments = [box["ciphertext"], box["nonce"], secret]
    opened = subprocess.run(
        [php_path(), "-r", code, "--", *arguments], capture_output=True, text=True, check=True
    )
    return opened.stdout


# Failures


def _failure(shop: Shop, *channels: str, event: str = "news", text: str = "") -> tuple[int, str]:
    """Return code and message of the BroadcastException that an announcement ends with."""
    announcement = {"channels": channels, "event": event, "data": {"text": text}}
    visitor = shop.visitor().log_in("ada")
    answer = visitor.post("/announce", data=announcement, token=True)
    assert answer.status == 502, answer
    assert SECRET not in answer.body
    return answer.json["code"], answer.json["message"]


@dataclass(frozen=True, slots=True)
class Failing:
    """What is wrong: in the server, in the application, or in the event."""

    settings: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ("wall",)
    event: str = "news"


@pytest.mark.parametrize(
    ("code", "name", "failing"),
    [
        (1, "HUB_MISSING", Failing(environment={"POGO_APP_ID": "nobody"})),
        (2, "CHANNEL_TOO_LONG", Failing(channels=("a wall",))),
        (2, "CHANNEL_TOO_LONG", Failing(channels=("a" * 201,))),
        (3, "EVENT_TOO_LONG", Failing(event="e" * 300)),
        (4, "PAYLOAD_TOO_LARGE", Failing({"POGO_MAX_PAYLOAD": "8"})),
        (
            7,
            "INVALID_MULTI_CHANNEL_JSON",
            Failing({"POGO_MAX_CHANNELS": "2"}, channels=("a", "b", "c")),
        ),
        (
            8,
            "BROKER_QUEUE_FULL",
            Failing({"POGO_BROKER_QUEUE_SIZE": "1"}, channels=("a", "b")),
        ),
        (
            9,
            "SHARD_QUEUE_FULL",
            Failing({"POGO_SHARD_QUEUE_SIZE": "1", "POGO_NUM_SHARDS": "1"}, channels=("a", "b")),
        ),
    ],
)
def test_failure_names_its_code(
    serve: Serve, open_shop: Open, code: int, name: str, failing: Failing
) -> None:
    """What the broker answers is thrown as a BroadcastException with its code and its name."""
    service = serve(**failing.settings)
    shop = open_shop(POGO_BROKER=service.grpc, **failing.environment)
    failed, message = _failure(shop, *failing.channels, event=failing.event)

    assert code == failed
    assert f"{name} ({code})" in message


def test_unconfirmed_event(serve: Serve, open_shop: Open, tmp_path: Path) -> None:
    """While the bus is away the broker answers code 6, and the driver throws it."""
    with running_bus("nats", tmp_path) as bus:
        serve("edge", **bus)
        shop = open_shop(POGO_BROKER=serve("broker", **bus).grpc)
    code, message = _failure(shop, "wall")

    assert 6 == code
    assert "BROKER_PUBLISH_FAILED (6)" in message


def test_broker_is_away(open_shop: Open) -> None:
    """A broker that cannot be reached fails at once, and says so."""
    shop = open_shop(POGO_BROKER=f"127.0.0.1:{free_port()}")
    code, message = _failure(shop, "wall")

    assert 0 == code
    assert "UNAVAILABLE" in message


def test_broker_does_not_answer(serve: Serve, open_shop: Open) -> None:
    """A broker that does not answer fails when the time is up, not later."""
    service = serve()
    shop = open_shop(POGO_BROKER=service.grpc, POGO_TIMEOUT="0.5")
    visitor = shop.visitor().log_in("ada")
    announcement = {"channels": ["wall"], "event": "news", "data": {}}
    os.kill(service.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        answer = visitor.post("/announce", data=announcement, token=True)
        took = time.monotonic() - started
    finally:
        os.kill(service.pid, signal.SIGCONT)

    assert 502 == answer.status
    assert "DEADLINE_EXCEEDED" in answer.json["message"]
    assert 0.5 <= took < 2.0


def test_wrong_secret(server: Service, open_shop: Open) -> None:
    """A broker that does not know the secret refuses the call, and the secret stays untold."""
    shop = open_shop(POGO_BROKER=server.grpc, POGO_APP_SECRET="guessed-secret")
    code, message = _failure(shop, "wall")

    assert 0 == code
    assert "UNAUTHENTICATED" in message
    assert "guessed-secret" not in message


def test_failure_that_nobody_catches(open_shop: Open) -> None:
    """The application answers 500 and logs what failed, without the secret."""
    shop = open_shop(POGO_BROKER=f"127.0.0.1:{free_port()}")
    answer = shop.visitor().log_in("ada").post("/orders/1/ship", token=True)

    assert 500 == answer.status
    assert "BroadcastException" in shop.logged()
    assert "App\\Events\\OrderShipped: UNAVAILABLE" in shop.logged()
    assert SECRET not in shop.logged()
    assert SECRET not in answer.body
