import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.pusher import frames
from pogo.webhooks import (
    encode_client_event,
    encode_event,
    new_event_id,
    shared_event_id,
)

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_events_have_the_fields_of_their_kind() -> None:
    """Each event has what Pusher documents, and an id."""
    occupied = {"name": "channel_occupied", "channel": "a", "id": "1"}

    assert occupied == json.loads(encode_event("channel_occupied", "a", "1"))
    assert {**occupied, "name": "member_added", "user_id": "7"} == json.loads(
        encode_event("member_added", "a", "1", user_id="7")
    )
    assert {**occupied, "name": "subscription_count", "subscription_count": 0} == json.loads(
        encode_event("subscription_count", "a", "1", subscription_count=0)
    )


@given(_JSON, st.none() | st.text(min_size=1))
def test_the_data_of_client_events_is_text(data: object, user_id: str | None) -> None:
    """A string stays as it is, and everything else is its JSON text."""
    raw = json.dumps(data).encode()
    message = frames.encode_client_event("client-a", "presence-a", msgspec.Raw(raw), user_id)
    event = json.loads(encode_client_event(message, "1.2", "id"))
    text = event.pop("data")

    assert (data if isinstance(data, str) else raw.decode()) == text
    user = {} if user_id is None else {"user_id": user_id}
    assert {
        "name": "client_event",
        "channel": "presence-a",
        "event": "client-a",
        "socket_id": "1.2",
        "id": "id",
        **user,
    } == event


def test_a_client_event_without_data() -> None:
    """What was not sent is null, as JSON text."""
    message = frames.encode_client_event("client-a", "private-a", msgspec.Raw())

    assert "null" == json.loads(encode_client_event(message, "1.2", "id"))["data"]


@pytest.mark.parametrize("data", [b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\xc3\xa9"'])
def test_strings_are_not_looked_into(data: bytes) -> None:
    """The text of a string goes through as it was written, escapes and all."""
    message = frames.encode_client_event("client-a", "private-a", msgspec.Raw(data))

    assert b'"data":' + data in encode_client_event(message, "1.2", "id")


def test_ids() -> None:
    """Ids of events that happen once differ, and those of one event seen twice do not."""
    assert 100 == len({new_event_id() for _ in range(100)})
    assert 24 == len(new_event_id())
    one = shared_event_id("cache_miss", "cache-a", 1)
    assert one == shared_event_id("cache_miss", "cache-a", 1)
    assert 24 == len(one)
    others = [
        shared_event_id("cache_miss", "cache-a", 2),
        shared_event_id("cache_miss", "cache-b", 1),
        shared_event_id("channel_vacated", "cache-a", 1),
    ]
    assert 4 == len({one, *others})
