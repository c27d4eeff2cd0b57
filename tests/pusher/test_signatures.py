import pytest

from pogo.pusher.signatures import sign_channel, sign_user, verify_channel, verify_user

# The secret and key of the examples in Pusher's documentation, "Auth signatures".
SECRET = b"7ad3773142a6692b25b8"
KEY = "278d425bdf160c739803"
PRIVATE = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
USER = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
# The documentation prints another signature here, which is that of "Mr. Pusher".
PRESENCE_DATA = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
PRESENCE = "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"


def test_documented_vectors() -> None:
    """The signatures are those of Pusher's documentation."""
    presence = sign_channel(SECRET, "1234.1234", "presence-foobar", PRESENCE_DATA)

    assert PRIVATE == sign_channel(SECRET, "1234.1234", "private-foobar")
    assert USER == sign_user(SECRET, "1234.1234", '{"id":"12345"}')
    assert PRESENCE == presence


def test_valid_channel_signature() -> None:
    """What is signed with the app's secret is accepted."""
    assert verify_channel(
        f"{KEY}:{PRIVATE}",
        key=KEY,
        secrets=[SECRET],
        socket_id="1234.1234",
        channel="private-foobar",
    )


def test_either_secret_counts() -> None:
    """While a secret is rotated, the old and the new one are valid."""
    for secrets in ([SECRET, b"new"], [b"new", SECRET]):
        assert verify_user(
            f"{KEY}:{USER}",
            key=KEY,
            secrets=secrets,
            socket_id="1234.1234",
            user_data='{"id":"12345"}',
        )


@pytest.mark.parametrize(
    "auth",
    [
        "",
        ":",
        PRIVATE,
        f"{KEY}:",
        f"other:{PRIVATE}",
        f"{KEY}:{PRIVATE.upper()}",
        f"{KEY}:{PRIVATE[:-1]}",
        f"{KEY}:{PRIVATE}0",
        f"{KEY}:{USER}",
        f"{KEY}:ä",
        f"{KEY}:\ud800",
    ],
)
def test_invalid_channel_signatures(auth: str) -> None:
    """Anything but the exact key and signature is refused."""
    assert not verify_channel(
        auth, key=KEY, secrets=[SECRET], socket_id="1234.1234", channel="private-foobar"
    )


def test_signature_binds_everything() -> None:
    """Another socket, channel or channel_data makes a signature worthless."""
    signed = f"{KEY}:{sign_channel(SECRET, '1.2', 'presence-a', '{}')}"
    variants = [
        ("1.3", "presence-a", "{}"),
        ("1.2", "presence-b", "{}"),
        ("1.2", "presence-a", "{ }"),
        ("1.2", "presence-a", None),
    ]

    for socket_id, channel, data in variants:
        assert not verify_channel(
            signed,
            key=KEY,
            secrets=[SECRET],
            socket_id=socket_id,
            channel=channel,
            channel_data=data,
        )


def test_no_secret_no_entry() -> None:
    """An app without a secret admits nobody."""
    assert not verify_user(f"{KEY}:", key=KEY, secrets=[], socket_id="1.2", user_data="{}")
