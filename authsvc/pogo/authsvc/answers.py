"""What the worker signed, checked before anybody gets it.

Source: Pusher Channels documentation, "Auth signatures". A signature that the edges would refuse
is the worker's fault (a wrong secret, mostly), and is said so here, where it can be seen, rather
than in the browser.
"""

import base64
import binascii
from collections.abc import Callable
from typing import TypeVar

import msgspec

from pogo.authsvc.apps import AuthApp, AuthApps
from pogo.authsvc.errors import InvalidAnswerError
from pogo.pusher.channels import ChannelKind
from pogo.pusher.members import parse_channel_data, parse_user_data
from pogo.pusher.signatures import verify_channel, verify_user

_SHARED_SECRET_BYTES = 32


class ChannelAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signed channel."""

    auth: str
    channel_data: str | None = None
    shared_secret: str | None = None


class UserAnswer(msgspec.Struct, frozen=True):
    """A signed user."""

    auth: str
    user_data: str


_A = TypeVar("_A", ChannelAnswer, UserAnswer)

_CHANNEL = msgspec.json.Decoder(ChannelAnswer)
_USER = msgspec.json.Decoder(UserAnswer)


def check_channel_answer(
    body: bytes, apps: AuthApps, *, socket_id: str, channel: str, kind: ChannelKind
) -> tuple[AuthApp, ChannelAnswer]:
    """Read a signed channel, and tell whose app it is.

    Raises:
        InvalidAnswerError: It does not let this connection subscribe to this channel.
    """
    answer = _decode(_CHANNEL, body)
    app = _app(answer.auth, apps)
    if kind.is_presence and answer.channel_data is None:
        raise InvalidAnswerError("it has no channel_data, which a presence channel needs")
    if not verify_channel(
        answer.auth,
        key=app.key,
        secrets=app.secrets,
        socket_id=socket_id,
        channel=channel,
        # As the edges have it, to which an empty one is none.
        channel_data=answer.channel_data or None,
    ):
        raise InvalidAnswerError(f"it does not sign the channel with the secret of app {app.id}")
    if kind.is_presence:
        _check(parse_channel_data, answer.channel_data or "")
    if kind.is_encrypted and not _is_key(answer.shared_secret):
        raise InvalidAnswerError(
            f"its shared_secret is not {_SHARED_SECRET_BYTES} bytes in base64, which an encrypted "
            "channel needs"
        )
    return app, answer


def check_user_answer(body: bytes, apps: AuthApps, *, socket_id: str) -> tuple[AuthApp, UserAnswer]:
    """Read a signed user, and tell whose app it is.

    Raises:
        InvalidAnswerError: It does not sign this connection in.
    """
    answer = _decode(_USER, body)
    app = _app(answer.auth, apps)
    if not verify_user(
        answer.auth,
        key=app.key,
        secrets=app.secrets,
        socket_id=socket_id,
        user_data=answer.user_data,
    ):
        raise InvalidAnswerError(f"it does not sign the user with the secret of app {app.id}")
    _check(parse_user_data, answer.user_data)
    return app, answer


def _decode(decoder: "msgspec.json.Decoder[_A]", body: bytes) -> _A:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidAnswerError(f"it is not the JSON of a signature: {error}") from None


def _app(auth: str, apps: AuthApps) -> AuthApp:
    key, separator, _ = auth.partition(":")
    app = apps.by_key(key)
    if not separator or app is None:
        raise InvalidAnswerError("its auth does not begin with the key of an app")
    return app


def _check(parse: Callable[[str], object], data: str) -> None:
    try:
        parse(data)
    except ValueError as error:
        raise InvalidAnswerError(str(error)) from None


def _is_key(shared_secret: str | None) -> bool:
    try:
        raw = base64.b64decode(shared_secret or "", validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == _SHARED_SECRET_BYTES
