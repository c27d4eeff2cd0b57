"""The bodies of requests: held only as far as they can be of use."""

import asyncio
import math

from aiohttp import HttpVersion11, web

from pogo.broker.http.errors import ApiError, BadRequestError, TooLargeError, UnavailableError
from pogo.broker.publisher import MAX_ESCAPE
from pogo.settings import Settings

ITEM_BYTES = 16 * 1024
"""Bytes that an event may take beside its data and its channels."""

SMALL_BODY = 64 * 1024
"""Bytes of a body that nothing is read from."""

HELD_BODIES = 4
"""How many of the largest bodies may be under way at a time; one more is answered with 503."""

BODY_TIMEOUT = 30.0
"""Seconds that a client may take to send a body."""

LAST_BODIES_TIMEOUT = 2.0
"""Seconds that those have who are sending a body when the server stops."""


class BodyReader:
    """Reads bodies. Those that come in pieces share a bound on all bytes that are held."""

    def __init__(self, settings: Settings) -> None:
        channel = MAX_ESCAPE * settings.max_channel_length
        item = MAX_ESCAPE * settings.max_payload + ITEM_BYTES
        self.max_event = item + settings.max_channels * channel
        """Bytes of the largest event that could be published, whatever way it is written."""
        self.max_batch = settings.max_http_batch * (item + channel)
        """Bytes of the largest batch."""
        self._held = 0
        self._max_held = HELD_BODIES * max(self.max_event, self.max_batch)
        self._under_way: set[asyncio.Timeout] = set()
        # When the last body has to be there, once the server stops.
        self._last = math.inf
        self._all_read = asyncio.Event()

    async def read(self, request: web.BaseRequest, limit: int) -> bytes:
        """Read the body of a request.

        Raises:
            ApiError: It is larger than `limit` bytes, compressed, late, or cannot be read.
            ConnectionError: The client has gone.
        """
        if "Content-Encoding" in request.headers:
            raise ApiError(415, "a request is not compressed")
        if (request.content_length or 0) > limit:
            raise TooLargeError(limit)
        content = request.content
        body = content.read_nowait()
        if not content.at_eof():
            # Seldom: nearly always all of it has come with the head.
            return await self._read_pieces(request, bytearray(body), limit)
        if len(body) > limit:
            raise TooLargeError(limit)
        return body

    async def finish(self) -> None:
        """Wait for the bodies that are under way; what is late is refused."""
        self._last = asyncio.get_running_loop().time() + LAST_BODIES_TIMEOUT
        for timeout in self._under_way:
            if not timeout.expired():
                timeout.reschedule(self._last)
        if self._under_way:
            self._all_read.clear()
            await self._all_read.wait()

    async def _read_pieces(self, request: web.BaseRequest, body: bytearray, limit: int) -> bytes:
        content, counted = request.content, 0
        deadline = min(asyncio.get_running_loop().time() + BODY_TIMEOUT, self._last)
        timeout = asyncio.timeout_at(deadline)
        self._under_way.add(timeout)
        try:
            async with timeout:
                await _invite(request)
                while True:
                    self._held += len(body) - counted
                    counted = len(body)
                    if counted > limit:
                        raise TooLargeError(limit)
                    if self._held > self._max_held:
                        raise UnavailableError("the server reads too many large bodies at once")
                    if content.at_eof():
                        return bytes(body)
                    body += await content.readany()
        except web.RequestPayloadError:
            raise BadRequestError("the body cannot be read") from None
        except TimeoutError:
            raise ApiError(408, "the body did not come in time") from None
        finally:
            self._held -= counted
            self._under_way.discard(timeout)
            if not self._under_way:
                self._all_read.set()


async def _invite(request: web.BaseRequest) -> None:
    """Let a client send its body that waits to be told so, as curl does with a large one."""
    expected = request.headers.get("Expect", "").lower()
    # What speaks HTTP/1.0 would take it for the answer.
    if expected == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What is written so far is no answer yet.
        request.writer.output_size = 0
