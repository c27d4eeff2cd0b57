import json

import msgspec

from pogo.pusher import frames
from pogo.pusher.errors import (
    ClientEventRateError,
    InvalidMessageError,
    UnauthorizedSubscriptionError,
)
from pogo.pusher.members import Member


def test_connection_established_is_double_encoded() -> None:
    """The data is a string that holds JSON."""
    message = json.loads(frames.connection_established("1.2", 54))

    assert "pusher:connection_established" == message["event"]
    assert {"socket_id": "1.2", "activity_timeout": 54} == json.loads(message["data"])


def test_published_data_is_untouched() -> None:
    """A string arrives as that string, whatever is in it."""
    for data in ["hello", "", '{"a":1}', '"x"', "ü\u2028\x00", '{ "b" : 2 }']:
        message = json.loads(frames.encode_event("e", "c", data))

        assert {"event": "e", "channel": "c", "data": data} == message


def test_data_can_be_encoded_ahead() -> None:
    """For several channels, the data is written once."""
    data = frames.encode_data('{"a":"\u00fc"}')

    assert frames.encode_event("e", "c", '{"a":"\u00fc"}') == frames.encode_event("e", "c", data)


def test_published_event_has_the_usual_order() -> None:
    """Bytes are compact, and in the order of Pusher's examples."""
    assert b'{"event":"e","channel":"c","data":"{}"}' == frames.encode_event("e", "c", "{}")


def test_client_event_keeps_the_type_of_its_data() -> None:
    """An object stays an object, and a string a string."""
    for data in (b'{"a":1}', b'"text"', b"3"):
        raw = frames.encode_client_event("client-x", "private-c", msgspec.Raw(data))

        assert b'{"event":"client-x","channel":"private-c","data":%b}' % data == raw


def test_client_event_without_data() -> None:
    """What was not sent is not invented."""
    raw = frames.encode_client_event("client-x", "private-c", msgspec.Raw(), "7")

    assert b'{"event":"client-x","channel":"private-c","user_id":"7"}' == raw


def test_error_is_not_double_encoded() -> None:
    """The data is an object, with the code null where there is none."""
    assert {
        "event": "pusher:error",
        "data": {"message": "no", "code": None},
    } == json.loads(frames.error(InvalidMessageError("no")))
    assert 4301 == json.loads(frames.error(ClientEventRateError("slow")))["data"]["code"]


def test_subscription_error_names_the_channel() -> None:
    """The event reaches those who listen on the channel."""
    message = frames.subscription_error(UnauthorizedSubscriptionError("private-a", "no"))

    assert {
        "event": "pusher:subscription_error",
        "channel": "private-a",
        "data": {"type": "AuthError", "error": "no", "status": 401},
    } == json.loads(message)


def test_subscription_succeeded() -> None:
    """Without a roster the data is an empty object in a string."""
    assert (
        b'{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}'
        == frames.subscription_succeeded("a")
    )


def test_presence_data() -> None:
    """Ids, hash and count agree; a user without information is null."""
    members = {"1": Member("1", msgspec.Raw(b'{"n":"x"}')), "2": Member("2")}

    assert {
        "presence": {"ids": ["1", "2"], "hash": {"1": {"n": "x"}, "2": None}, "count": 2}
    } == json.loads(frames.presence_data(members))


def test_member_events_are_double_encoded() -> None:
    """Joining carries the user's information, leaving the id alone."""
    added = json.loads(frames.member_added("presence-a", Member("1", msgspec.Raw(b"[1]"))))
    removed = json.loads(frames.member_removed("presence-a", "1"))

    assert "pusher_internal:member_added" == added["event"]
    assert {"user_id": "1", "user_info": [1]} == json.loads(added["data"])
    assert "pusher_internal:member_removed" == removed["event"]
    assert {"user_id": "1"} == json.loads(removed["data"])


def test_signin_success() -> None:
    """The user's data comes back as the string that was signed."""
    message = json.loads(frames.signin_success('{ "id": "1" }'))

    assert {"event": "pusher:signin_success", "data": {"user_data": '{ "id": "1" }'}} == message


def test_pong() -> None:
    """The answer to a ping has an empty object."""
    assert {"event": "pusher:pong", "data": {}} == json.loads(frames.PONG)


def test_watchlist_events() -> None:
    """The events are in a string, and a name without anyone is left out."""
    both = json.loads(frames.watchlist_events(["1", "2"], ["3"]))
    one = json.loads(frames.watchlist_events([], ["3"]))

    assert "pusher_internal:watchlist_events" == both["event"]
    assert {
        "events": [
            {"name": "online", "user_ids": ["1", "2"]},
            {"name": "offline", "user_ids": ["3"]},
        ]
    } == json.loads(both["data"])
    assert {"events": [{"name": "offline", "user_ids": ["3"]}]} == json.loads(one["data"])


def test_cache_miss() -> None:
    """It names the channel: clients could not route it without."""
    message = b'{"event":"pusher:cache_miss","channel":"cache-a","data":"{}"}'

    assert message == frames.cache_miss("cache-a")


def test_subscription_count() -> None:
    """The number is in a string, beside its channel."""
    message = json.loads(frames.subscription_count("news", 7))

    assert {
        "event": "pusher_internal:subscription_count",
        "channel": "news",
        "data": '{"subscription_count":7}',
    } == message
