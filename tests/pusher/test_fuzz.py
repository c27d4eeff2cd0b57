import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from pogo.pusher.errors import CloseError, PusherError
from pogo.pusher.frames import connection_established
from pogo.pusher.handshake import parse_target
from pogo.pusher.protocol import error_messages
from tests.pusher.helpers import conversation, subscribed

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
_EVENTS = st.sampled_from(
    [
        "pusher:subscribe",
        "pusher:unsubscribe",
        "pusher:signin",
        "pusher:ping",
        "pusher:pong",
        "client-x",
        "pusher:unknown",
    ]
)
_CHANNELS = st.sampled_from(["a", "private-a", "presence-a", "#server-to-user-1", "cache-a", ""])
_DATA = st.fixed_dictionaries(
    {},
    optional={
        "channel": _CHANNELS | _JSON,
        "auth": _JSON,
        "channel_data": _JSON,
        "user_data": _JSON,
    },
)
_MESSAGES = st.fixed_dictionaries(
    {"event": _EVENTS | _JSON},
    optional={"data": _DATA | _DATA.map(json.dumps) | _JSON, "channel": _CHANNELS | _JSON},
)


def _hear(raw: bytes) -> None:
    """Only errors of the protocol may come of it, and each of them can be told."""
    protocol = conversation()
    subscribed(protocol, "private-a")
    try:
        protocol.receive(raw, 0)
    except PusherError as error:
        for message in error_messages(error):
            json.loads(message)


@given(st.binary())
def test_arbitrary_bytes(raw: bytes) -> None:
    """Whatever the bytes are, the protocol has a word for it."""
    _hear(raw)


@given(_MESSAGES)
def test_arbitrary_messages(message: dict[str, object]) -> None:
    """Whatever is in a message, the protocol has a word for it."""
    _hear(json.dumps(message).encode())


@given(st.text())
def test_arbitrary_targets(target: str) -> None:
    """Whatever is asked for, the protocol has a code for it."""
    for text in (target, "/app/" + target, "/app/k?" + target, "/app/k?protocol=" + target):
        with contextlib.suppress(CloseError):
            parse_target(text)


@given(st.integers(0), st.integers(1, 10**6))
def test_established_is_json(number: int, timeout: int) -> None:
    """What the server says can be read."""
    json.loads(connection_established(f"{number}.1", timeout))
