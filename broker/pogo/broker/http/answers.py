"""What requests are answered."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from aiohttp import web

from pogo.broker.http.errors import ApiError

INCOMPLETE = {"X-Pogo-Incomplete": "true"}
"""Sent where not all edges have answered: what is told is a lower bound."""

_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """What a request that was done is answered, with 200."""

    body: bytes
    headers: Mapping[str, str] = {}


DONE = Answer(b"{}")
"""Source: Pusher Channels documentation, "HTTP API Reference": an empty JSON hash."""


def tell(content: object, *, complete: bool = True) -> Answer:
    """Answer a question, as far as it could be answered."""
    return Answer(_encode(content), {} if complete else INCOMPLETE)


def respond(answer: Answer, status: int = 200) -> web.Response:
    """Write the response with an answer."""
    return _response(status, answer.body, answer.headers)


def refuse(error: ApiError) -> web.Response:
    """Write the response to a request that is not done, for whatever reason."""
    return _response(error.status, _encode({"error": str(error), **error.facts}), error.headers)


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        headers={"Content-Type": "application/json", "Server": "Pogo", **headers},
    )
