import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.bus import channel_subject
from pogo.bus.subjects import decode_token, encode_token

# Any text that UTF-8 can encode, with the characters that NATS gives a meaning to well represented.
_NAMES = st.text(st.one_of(st.sampled_from(" .*>$=\t\r\n%@;,#"), st.characters(codec="utf-8")))


@given(_NAMES, _NAMES)
def test_subject_has_only_legal_characters(app_id: str, channel: str) -> None:
    """Whatever the names, the subject keeps its shape and its alphabet."""
    subject = channel_subject(app_id, channel)

    assert re.fullmatch(r"pogo\.v1\.[A-Za-z0-9_=-]*\.ch\.[A-Za-z0-9_=-]*", subject)


@given(st.tuples(_NAMES, _NAMES), st.tuples(_NAMES, _NAMES))
def test_different_channels_have_different_subjects(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    """Two channels share a subject only if they are the same."""
    assert (one == other) == (channel_subject(*one) == channel_subject(*other))


@pytest.mark.parametrize(
    ("channel", "subject"),
    [
        ("private-App.Models.User.7", "pogo.v1.1.ch.private-App=2EModels=2EUser=2E7"),
        ("a=b@c,d.e;f", "pogo.v1.1.ch.a=3Db=40c=2Cd=2Ee=3Bf"),
        ("#server-to-user-7", "pogo.v1.1.ch.=23server-to-user-7"),
    ],
)
def test_subject_is_stable(channel: str, subject: str) -> None:
    """Nodes of different versions share a bus, so the encoding does not change."""
    assert subject == channel_subject("1", channel)


@given(_NAMES)
def test_what_is_encoded_can_be_read(name: str) -> None:
    """A token tells the name that it was made of."""
    assert name == decode_token(encode_token(name))


def test_what_is_no_text_cannot_be_read() -> None:
    """A token whose bytes are not UTF-8 was made by nobody."""
    with pytest.raises(ValueError, match="invalid start byte"):
        decode_token("a=FF")
