import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.settings.values import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("54s", 54.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("2h", 7200.0),
        (" 10s ", 10.0),
        ("54", 54.0),
        ("0.25", 0.25),
    ],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    """Each unit, their combination, and plain numbers of seconds are understood."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize("text", ["", "s", "10x", "1m 30s", "-5s", "m30", "1,5s", "5S"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    """The message quotes the text and shows how durations are written."""
    with pytest.raises(ValueError, match="54s, 1m30s, 500ms") as caught:
        parse_duration(text)

    assert str(caught.value).startswith(repr(text))


@given(st.integers(min_value=1, max_value=999_999))
def test_formatted_durations_are_read_back(milliseconds: int) -> None:
    """What `format_duration` writes, `parse_duration` reads as the same time."""
    seconds = milliseconds / 1000

    assert seconds == pytest.approx(parse_duration(format_duration(seconds)))
