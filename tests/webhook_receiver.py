"""A real HTTP server that takes webhooks, and that fails in all the ways in which endpoints do.

    async with WebhookReceiver() as receiver:
        ...                                     # receiver.url
        receiver.answer_next(FAILURE, HANG)     # to the next two requests; then OK again
        await receiver.until_events(100)
        assert receiver.verifies("key", "secret")

What it has taken counts only where it answered with 2xx: `events` is that, `requests` is all.
"""

import asyncio
import importlib
import json
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from aiohttp import web

from tests.servers import HOST, Certificate, free_port

WITHIN = 20.0
"""Seconds that anything may take; a test that waits for longer has failed."""


@dataclass(frozen=True)
class Answer:
    """What the endpoint does with a request, once it has read it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: float = 0.0
    """Seconds until it answers."""
    hangs: bool = False
    """Whether it never answers."""
    cuts: bool = False
    """Whether it closes the connection instead."""


OK = Answer()
FAILURE = Answer(status=500)
HANG = Answer(hangs=True)
CUT = Answer(cuts=True)


@dataclass(frozen=True)
class Received:
    """One request, and the status that it was answered with; 0 is no answer."""

    at: float
    """When it had come, by `time.time`."""
    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    status: int

    @property
    def is_accepted(self) -> bool:
        """Whether the sender was told that it arrived."""
        return 200 <= self.status < 300

    @property
    def time_ms(self) -> int:
        """When it was sent, as the body says."""
        return int(json.loads(self.body)["time_ms"])

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events in it."""
        return list(json.loads(self.body)["events"])

    def header(self, name: str) -> str:
        """Return the one header of this name."""
        (value,) = (value for key, value in self.headers if key.lower() == name.lower())
        return value


class WebhookReceiver:
    """An endpoint on a port of the loopback that survives `down` and `up`.

    Args:
        host: The address or name to listen on, which `url` has too.
        certificate: With it, the port speaks TLS only.
    """

    def __init__(self, *, host: str = HOST, certificate: Certificate | None = None) -> None:
        self._host = host
        self._certificate = certificate
        self._port = free_port()
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()
        self._going_down = asyncio.Event()
        self._next: deque[Answer] = deque()
        self.always = OK
        """What it does when nothing else was said."""
        self.requests: list[Received] = []
        """All requests that were read, in the order in which they were answered; those that it
        hangs on are there once it has gone down."""
        self.in_flight = 0
        """Requests that were read and not answered yet."""
        self.most_in_flight = 0

    @property
    def url(self) -> str:
        """Where webhooks go."""
        scheme = "https" if self._certificate else "http"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}/hooks?token=a-token-of-the-url"

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events that it accepted, in order, repeats too."""
        return [event for got in self.requests if got.is_accepted for event in got.events]

    @property
    def statuses(self) -> list[int]:
        """What the requests were answered with."""
        return [got.status for got in self.requests]

    def answer_next(self, *answers: Answer) -> None:
        """Say what it does with the next requests."""
        self._next.extend(answers)

    def verifies(self, key: str, secret: str) -> bool:
        """Whether the Python SDK of Pusher takes all requests for genuine, now."""
        sdk = importlib.import_module("pusher").Pusher(app_id="1", key=key, secret=secret)
        return all(
            sdk.validate_webhook(
                got.header("X-Pusher-Key"), got.header("X-Pusher-Signature"), got.body.decode()
            )
            for got in self.requests
        )

    async def until(self, happened: Callable[[], bool], within: float = WITHIN) -> None:
        """Wait until the requests are such; asked again with each request and each answer."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(happened)

    async def until_events(self, count: int) -> None:
        """Wait until so many events were accepted, repeats counted."""
        await self.until(lambda: len(self.events) >= count)

    async def until_requests(self, count: int, within: float = WITHIN) -> None:
        """Wait until so many requests were answered, or given up."""
        await self.until(lambda: len(self.requests) >= count, within)

    async def up(self) -> None:
        """Listen, again on the same port."""
        self._going_down.clear()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._take)
        quiet = logging.getLogger("webhook-receiver")
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, logger=quiet)
        await self._runner.setup()
        context = None
        if self._certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certificate.certificate, self._certificate.key)
        await web.TCPSite(self._runner, self._host, self._port, ssl_context=context).start()

    async def down(self) -> None:
        """Refuse connections, and cut those there are. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._going_down.set()
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        at = time.time()
        answer = self._next.popleft() if self._next else self.always
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self._notify()
        status = 0
        try:
            if await self._answers(answer, request):
                status = answer.status
        finally:
            self.in_flight -= 1
            headers = tuple(request.headers.items())
            path = request.path_qs
            self.requests.append(Received(at, request.method, path, headers, body, status))
            await self._notify()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _answers(self, answer: Answer, request: web.Request) -> bool:
        """Take the time that the answer takes; whether there is to be one."""
        wait = None if answer.hangs else answer.after
        if wait is None or wait > 0:
            try:
                async with asyncio.timeout(wait):
                    await self._going_down.wait()
            except TimeoutError:
                pass
            else:
                return False
        if answer.cuts and request.transport is not None:
            request.transport.abort()
        return not answer.cuts

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def loopback_v6() -> bool:
    """Whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
