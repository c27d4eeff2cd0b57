import json

import pytest

from pogo.pusher.commands import (
    ClientEvent,
    Command,
    Ping,
    Pong,
    Signin,
    Subscribe,
    Unsubscribe,
    parse_command,
)
from pogo.pusher.errors import InvalidMessageError, NotUtf8Error
from tests.pusher.helpers import message


@pytest.mark.parametrize(
    ("raw", "command"),
    [
        (message("pusher:ping", {}), Ping()),
        (b'{"event":"pusher:ping"}', Ping()),
        (message("pusher:pong", {}), Pong()),
        (message("pusher:subscribe", {"channel": "a"}), Subscribe("a")),
        (message("pusher:subscribe", {"channel": "a", "auth": ""}), Subscribe("a", "")),
        (
            message("pusher:subscribe", {"channel": "a", "auth": None, "channel_data": "{}"}),
            Subscribe("a", None, "{}"),
        ),
        (message("pusher:subscribe", '{"channel":"a"}'), Subscribe("a")),
        (message("pusher:unsubscribe", {"channel": "a"}), Unsubscribe("a")),
        (message("pusher:signin", {"auth": "k:s", "user_data": "{}"}), Signin("k:s", "{}")),
    ],
)
def test_commands(raw: bytes, command: Command) -> None:
    """Data is an object, or a string that holds one."""
    assert command == parse_command(raw)


def test_client_event() -> None:
    """The data is kept as it came."""
    command = parse_command(message("client-x", {"a": 1}, channel="private-c"))

    assert isinstance(command, ClientEvent)
    assert ("private-c", "client-x") == (command.channel, command.event)
    assert {"a": 1} == json.loads(bytes(command.data))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"event":1}',
        b'{"event":"pusher:ping"',
        b'{"event":"pusher:subscribe"}',
        b'{"event":"pusher:subscribe","data":null}',
        b'{"event":"pusher:subscribe","data":[]}',
        b'{"event":"pusher:subscribe","data":"x"}',
        b'{"event":"pusher:subscribe","data":{"channel":1}}',
        b'{"event":"pusher:unsubscribe","data":{}}',
        b'{"event":"pusher:signin","data":{"auth":"x"}}',
        b'{"event":"pusher:unknown"}',
        b'{"event":"pusher_internal:subscription_succeeded","channel":"a"}',
        b'{"event":"news","channel":"private-a"}',
        b'{"event":"client-x","data":{}}',
        b'{"event":"client-x","channel":["a"],"data":{}}',
        b'{"event":"client-x","channel":"private-a","data":' + b"[" * 9999 + b"]" * 9999 + b"}",
    ],
)
def test_what_the_protocol_does_not_know(raw: bytes) -> None:
    """Anything else is an invalid message."""
    with pytest.raises(InvalidMessageError):
        parse_command(raw)


@pytest.mark.parametrize("raw", [b"\xff", b'{"event":"client-x","channel":"c","data":"\xc3\x28"}'])
def test_not_utf8(raw: bytes) -> None:
    """A text message in another encoding ends the connection, wherever the bytes stand."""
    with pytest.raises(NotUtf8Error):
        parse_command(raw)
