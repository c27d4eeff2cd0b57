import pytest

from pogo.pusher.members import (
    Member,
    User,
    encode_member,
    parse_channel_data,
    parse_member,
    parse_user_data,
)


@pytest.mark.parametrize(
    ("text", "user_id", "info"),
    [
        ('{"user_id":"a"}', "a", b"null"),
        ('{"user_id":10}', "10", b"null"),
        ('{"user_id":"a\\"b","user_info":{"n":1}}', 'a"b', b'{"n":1}'),
        ('{"user_id":"a","user_info":null,"more":1}', "a", b"null"),
    ],
)
def test_channel_data(text: str, user_id: str, info: bytes) -> None:
    """Ids become strings, and the information stays as it was written."""
    member = parse_channel_data(text)

    assert (user_id, info) == (member.user_id, bytes(member.user_info))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"user_id":""}',
        '{"user_id":null}',
        '{"user_id":1.5}',
        '{"user_id":["a"]}',
        '{"user_id":"' + "a" * 129 + '"}',
        '{"user_id":"\ud800"}',
        '{"user_id":"a","user_info":' + "[" * 9999 + "]" * 9999 + "}",
    ],
)
def test_unusable_channel_data(text: str) -> None:
    """Without a usable id there is no member."""
    with pytest.raises(ValueError, match="channel_data"):
        parse_channel_data(text)


def test_user_data() -> None:
    """A user has an id, and may have information, which becomes the member's."""
    user = parse_user_data('{"id":"7","user_info":{"n":1},"watchlist":["8"]}')

    assert ("7", b'{"n":1}') == (user.id, bytes(user.user_info))
    assert Member("7", user.user_info) == user.as_member()
    assert Member("7") == User("7").as_member()


@pytest.mark.parametrize("text", ["", "{}", '{"id":7}', '{"id":""}', '{"id":null}'])
def test_unusable_user_data(text: str) -> None:
    """Pusher-js takes a string that is not empty for an id, and nothing else."""
    with pytest.raises(ValueError, match="user_data"):
        parse_user_data(text)


def test_members_survive_the_registry() -> None:
    """What was written is read."""
    member = parse_channel_data('{"user_id":"ü","user_info":[1]}')
    again = parse_member(encode_member(member))

    assert ("ü", b"[1]") == (again.user_id, bytes(again.user_info))


def test_a_foreign_entry_is_refused() -> None:
    """What is no member is not taken for one."""
    with pytest.raises(ValueError, match="user_id"):
        parse_member(b"{}")
