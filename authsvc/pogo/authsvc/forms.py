"""What a client asks for, read from the body of its request.

Source: pusher-js, which sends a form with `socket_id` and `channel_name` and whatever parameters
its page has added. JSON is taken too, and becomes a form: so a worker has one thing to read.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import msgspec

from pogo.authsvc.errors import BadRequestError

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

_MAX_FIELDS = 100
_SOCKET_ID = re.compile(r"[0-9]+\.[0-9]+")
_MAX_SOCKET_ID = 64
_OWN = ("socket_id", "channel_name")
_METHOD = "_method"
"""What frameworks take for the method of the request, whatever it is: Laravel, Symfony."""

_OBJECT = msgspec.json.Decoder(dict[str, str | int | float | bool | None])

Fields = Sequence[tuple[str, str]]
"""The fields of a form, in order."""


def parse_body(body: bytes, content_type: str) -> Fields:
    """Read the fields of a form, or of a JSON object.

    Raises:
        BadRequestError: It is neither, or PHP could read other fields out of it.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == FORM:
        fields = _parse_form(body)
    elif kind == JSON:
        fields = _parse_json(body)
    else:
        raise BadRequestError(f"send {FORM} or {JSON}", 415)
    seen: set[str] = set()
    for name, _ in fields:
        meant = _as_php_reads(name)
        if meant in _OWN:
            # A client that says two things could have one checked and the other one signed.
            if meant != name or name in seen:
                raise BadRequestError(f"{meant} is there more than once, or in another form")
            seen.add(name)
        if meant == _METHOD:
            raise BadRequestError(f"{_METHOD} would make another request of this one")
    return fields


def encode_form(fields: Fields) -> bytes:
    """Write a form."""
    return urlencode(fields).encode()


def socket_id_of(fields: Fields) -> str:
    """Return the connection's id.

    Raises:
        BadRequestError: There is none, or it is no such thing.
    """
    return check_socket_id(dict(fields).get("socket_id", ""))


def check_socket_id(socket_id: str) -> str:
    """Return a connection's id if it is one.

    Raises:
        BadRequestError: It is not: what the worker would sign could mean something else.
    """
    if len(socket_id) > _MAX_SOCKET_ID or _SOCKET_ID.fullmatch(socket_id) is None:
        raise BadRequestError("socket_id should be two numbers with a dot between them")
    return socket_id


def _parse_form(body: bytes) -> Fields:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise BadRequestError("the form cannot be read") from None


def _parse_json(body: bytes) -> Fields:
    try:
        values = _OBJECT.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequestError("the JSON is no object of plain values") from None
    if len(values) > _MAX_FIELDS:
        raise BadRequestError("the JSON has too many fields")
    if not all(isinstance(values.get(name, ""), str) for name in _OWN):
        # A number may not come out as it was written: 1.10 is 1.1.
        raise BadRequestError("socket_id and channel_name should be strings")
    return [(name, _text(value)) for name, value in values.items()]


def _text(value: str | float | bool | None) -> str:  # noqa: FBT001 - JSON has them
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else ""
        case _:
            return str(value)


def _as_php_reads(name: str) -> str:
    """Tell the variable that PHP makes of a field's name: `a.b`, `a b[x]` and `a[b` are `a_b`."""
    text = name.partition("\0")[0].lstrip(" ")
    variable, _, index = text.partition("[")
    # A bracket that is never closed begins no index.
    return re.sub(r"[ .[]", "_", variable if "]" in index else text)
