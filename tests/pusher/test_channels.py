import pytest

from pogo.pusher.channels import (
    ChannelKind,
    ChannelNameError,
    channel_kind,
    check_channel_name,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("news", ChannelKind.PUBLIC),
        ("cache-news", ChannelKind.CACHE),
        ("private-news", ChannelKind.PRIVATE),
        ("private-cache-news", ChannelKind.PRIVATE_CACHE),
        ("private-encrypted-news", ChannelKind.ENCRYPTED),
        ("private-encrypted-cache-news", ChannelKind.ENCRYPTED_CACHE),
        ("presence-news", ChannelKind.PRESENCE),
        ("presence-cache-news", ChannelKind.PRESENCE_CACHE),
        ("#server-to-user-7", ChannelKind.SERVER_TO_USER),
        # Near misses: a prefix counts with its dash, at the beginning, in lower case.
        ("privateer", ChannelKind.PUBLIC),
        ("private", ChannelKind.PUBLIC),
        ("presence", ChannelKind.PUBLIC),
        ("presencenews", ChannelKind.PUBLIC),
        ("cached", ChannelKind.PUBLIC),
        ("Private-news", ChannelKind.PUBLIC),
        ("my-private-news", ChannelKind.PUBLIC),
        ("private-encryptednews", ChannelKind.PRIVATE),
        ("private-mycache-news", ChannelKind.PRIVATE),
        ("private-cached", ChannelKind.PRIVATE),
        ("presence-cached", ChannelKind.PRESENCE),
        ("private-presence-x", ChannelKind.PRIVATE),
        ("server-to-user-7", ChannelKind.PUBLIC),
    ],
)
def test_kind(name: str, kind: ChannelKind) -> None:
    """The exact prefix decides the kind."""
    assert kind is channel_kind(name)


def test_properties_of_kinds() -> None:
    """Who needs a signature, has members, may send events, and is cached."""
    auth = {kind.name for kind in ChannelKind if kind.needs_auth}
    presence = {kind.name for kind in ChannelKind if kind.is_presence}
    encrypted = {kind.name for kind in ChannelKind if kind.is_encrypted}
    cache = {kind.name for kind in ChannelKind if kind.is_cache}
    events = {kind.name for kind in ChannelKind if kind.allows_client_events}

    assert {"PRESENCE", "PRESENCE_CACHE"} == presence
    assert {"ENCRYPTED", "ENCRYPTED_CACHE"} == encrypted
    assert {"CACHE", "PRIVATE_CACHE", "ENCRYPTED_CACHE", "PRESENCE_CACHE"} == cache
    assert {"PRIVATE", "PRIVATE_CACHE", *presence} == events
    assert events | encrypted == auth


@pytest.mark.parametrize("name", ["a", "A-z_0=9@,.;", "x" * 200, "#server-to-user-a@b.c"])
def test_legal_names(name: str) -> None:
    """Every character of the documented set, and up to 200 of them."""
    check_channel_name(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 201, "a b", "a/b", "ä", "a\n", "#news", "#server-to-user-", "a#b", "a:b"]
)
def test_illegal_names(name: str) -> None:
    """Anything else is refused, also a trailing newline."""
    with pytest.raises(ChannelNameError):
        check_channel_name(name)


def test_limit_is_a_parameter() -> None:
    """The limit can be another one."""
    check_channel_name("abc", 3)
    with pytest.raises(ChannelNameError, match="at most 2 characters, not 3"):
        check_channel_name("abc", 2)
