import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pogo.broker.checks import EventChecks
from pogo.broker.events import Event, parse_channels
from pogo.rpc.v1.status import StatusCode
from tests.broker.helpers import make_settings

CHECKS = EventChecks(make_settings(max_channels=3, max_payload=20))


def judge(
    *channels: str, name: str = "headline", data: str = "{}", json_data: bool = True
) -> tuple[StatusCode, str]:
    """Judge an event that is right but for what is given."""
    event = Event("shop", channels, name, data)
    refusal = CHECKS.judge(event, event.channels, json_data=json_data)
    return (refusal.status, refusal.detail) if refusal else (StatusCode.SUCCESS, "")


@pytest.mark.parametrize(
    "channel",
    ["news", "private-App.Models.User.1", "a" * 200, "a_-=@,.;B9", "#server-to-user-42"],
)
def test_names_that_pusher_allows(channel: str) -> None:
    """Every name out of Pusher's set is accepted, up to 200 characters."""
    assert (StatusCode.SUCCESS, "") == judge(channel)


@pytest.mark.parametrize(
    ("channel", "detail"),
    [
        ("", "empty"),
        ("a" * 201, "at most 200 characters, not 201"),
        ("a b", "is made of"),
        ("a:b", "is made of"),
        ("#news", "is made of"),
        ("#server-to-user-", "is made of"),
        ("ä", "is made of"),
        ("news\n", "is made of"),
    ],
)
def test_names_that_no_channel_has(channel: str, detail: str) -> None:
    """A name that no client can subscribe to is code 2, and the detail says what is wrong."""
    status, said = judge(channel)

    assert StatusCode.CHANNEL_TOO_LONG == status
    assert detail in said


def test_the_length_of_event_names() -> None:
    """An event has a name of 1 to 200 characters."""
    assert StatusCode.SUCCESS == judge("news", name="e" * 200)[0]
    assert StatusCode.EVENT_TOO_LONG == judge("news", name="e" * 201)[0]
    assert (
        StatusCode.EVENT_TOO_LONG,
        "an event name has 1 to 200 characters, not 0",
    ) == judge("news", name="")


def test_data_is_measured_in_bytes() -> None:
    """The limit holds for UTF-8, as the data travels."""
    assert StatusCode.SUCCESS == judge("news", data='"' + "ä" * 9 + '"')[0]
    assert (
        StatusCode.PAYLOAD_TOO_LARGE,
        "the data has at most 20 bytes, not 22",
    ) == judge("news", data='"' + "ä" * 10 + '"')


def test_any_text_is_data_where_json_is_not_asked_for() -> None:
    """What comes by Pusher's HTTP API need not be JSON."""
    assert StatusCode.INVALID_PAYLOAD_JSON == judge("news", data="hello")[0]
    assert StatusCode.SUCCESS == judge("news", data="hello", json_data=False)[0]


@pytest.mark.parametrize(
    ("channels", "status"),
    [
        ([], StatusCode.INVALID_MULTI_CHANNEL_JSON),
        (["a", "b", "c"], StatusCode.SUCCESS),
        (["a", "b", "c", "d"], StatusCode.INVALID_MULTI_CHANNEL_JSON),
        (["private-encrypted-a"], StatusCode.SUCCESS),
        (["a", "private-encrypted-a"], StatusCode.INVALID_MULTI_CHANNEL_JSON),
        (["a", "private-encrypted-cache-a"], StatusCode.INVALID_MULTI_CHANNEL_JSON),
        (["a", "private-encrypted"], StatusCode.SUCCESS),
        (["a", ""], StatusCode.CHANNEL_TOO_LONG),
    ],
)
def test_channels_that_may_go_together(channels: list[str], status: StatusCode) -> None:
    """One to `max_channels`, and an encrypted channel alone."""
    assert status == judge(*channels)[0]


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ({"channels", "name", "size", "json"}, StatusCode.CHANNEL_TOO_LONG),
        ({"name", "size", "json"}, StatusCode.EVENT_TOO_LONG),
        ({"size", "json"}, StatusCode.PAYLOAD_TOO_LARGE),
        ({"json"}, StatusCode.INVALID_PAYLOAD_JSON),
    ],
)
def test_the_first_broken_rule_counts(broken: set[str], status: StatusCode) -> None:
    """An event that breaks several rules has the code of the first one, always."""
    channels = ("a b",) if "channels" in broken else ("news",)
    name = "" if "name" in broken else "headline"
    data = "x" * 21 if "size" in broken else "x" if "json" in broken else "{}"

    assert status == judge(*channels, name=name, data=data)[0]
    assert (
        StatusCode.INVALID_MULTI_CHANNEL_JSON
        == judge(*channels, "private-encrypted-x", name=name, data=data)[0]
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("[]", []),
        ("", []),
        ("a", []),
        ('"a"', []),
        ('["a", 1]', []),
        ('{"a": "b"}', []),
        ('["a"] x', []),
        ("[" * 100_000, []),
    ],
)
def test_channels_are_read_from_json(text: str, names: list[str]) -> None:
    """Only an array of strings is one; anything else names no channel."""
    assert names == parse_channels(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).map(json.dumps)


@st.composite
def _damaged_json(draw: st.DrawFn) -> str:
    """Draw JSON text with a piece cut out or put in."""
    text = draw(_JSON)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 3)))
    return text[:start] + draw(st.text('{}[]",:\\ux019.eE+-tnul \n\x00', max_size=3)) + text[end:]


def _python_takes(text: str) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        # Half a surrogate pair, which no UTF-8 can carry, is refused here though Python takes it.
        json.dumps(json.loads(text, parse_constant=refuse), ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


@settings(max_examples=500, deadline=None)
@given(_damaged_json())
@example('{"a": tru}')
@example('{"a": 1} x')
@example('"\\q"')
@example('"\\ud800"')
@example("NaN")
@example("01")
@example("[1,]")
@example('{"a": "\\u12g4"}')
@example('"\n"')
def test_the_whole_text_must_be_json(text: str) -> None:
    """Nothing of the text is skipped unread: it is accepted exactly where Python's parser does."""
    checks = EventChecks(make_settings())
    refusal = checks.judge(Event("shop", ("news",), "headline", text), ("news",), json_data=True)

    assert _python_takes(text) == (refusal is None)


def test_json_that_is_nested_too_deeply() -> None:
    """Depth is refused like any other bad JSON, not an accident."""
    checks = EventChecks(make_settings())
    text = "[" * 5_000 + "]" * 5_000
    refusal = checks.judge(Event("shop", ("news",), "headline", text), ("news",), json_data=True)

    assert refusal is not None
    assert StatusCode.INVALID_PAYLOAD_JSON == refusal.status
    assert "nested too deeply" in refusal.detail
