"""One session with a redis-server that holds the queues and ledgers of webhooks."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from pogo.bus import BusRefusedError
from pogo.bus.redis_link import Link, command
from pogo.bus.redis_scripts import ScriptSession
from pogo.bus.subjects import encode_token
from pogo.webhooks import redis_scripts as scripts
from pogo.webhooks.interface import (
    CONFIRM_TIMEOUT,
    DeposedError,
    Item,
    Queue,
    QueueFullError,
    Stored,
    StoreUnavailableError,
    WebhookStoreError,
)
from pogo.webhooks.places import HINTS, queue_of, queue_tokens
from pogo.webhooks.remote import PING_TIMEOUT

log = structlog.get_logger()

_PLACE_BITS = 64
"""An event's place is the time of Redis in milliseconds, and below it, in as many bits, its number
within that one: an event that comes later has a greater one, even if Redis lost all others."""

_PAGE = b"1000"
"""About how many keys of a ledger are read at once."""

_AOF_OFF = re.compile(rb"^aof_enabled:0", re.MULTILINE)
_NO_MEMORY = "used memory > 'maxmemory'"


class RedisLead:
    """A name that no other leader of the app has."""

    def __init__(self, app_id: str) -> None:
        self.app_id = app_id
        self.name = encode_token(app_id).encode()
        self.token = secrets.token_hex(8).encode()


class RedisWebhookConnection(ScriptSession):
    """A session with a redis-server that holds queues and ledgers: see `RedisSession`.

    Args:
        queue_size: Events that each queue may hold.
        stored: Is told the queue of each event that was stored.
    """

    def __init__(
        self,
        server: str,
        listening: Link,
        publishing: Link,
        refused: Callable[[str], None],
        *,
        queue_size: int,
        stored: Callable[[Queue], None],
    ) -> None:
        super().__init__(server, listening, publishing, refused, ping_timeout=PING_TIMEOUT)
        self._queue_size = b"%d" % queue_size
        self._stored_event = stored

    async def enqueue(self, items: Sequence[Item]) -> list[WebhookStoreError | None]:
        """Store all in one script."""
        arguments = [self._queue_size, *_arguments(items)]
        try:
            outcomes: list[int] = await self._run_script(
                scripts.ENQUEUE, CONFIRM_TIMEOUT, *arguments
            )
        except BusRefusedError as error:
            return [_refusal(error)] * len(items)
        return [
            QueueFullError(f"{item.queue.endpoint} is full") if outcome == scripts.FULL else None
            for item, outcome in zip(items, outcomes, strict=True)
        ]

    async def commit(
        self, lead: RedisLead, changes: Mapping[str, bytes | None], items: Sequence[Item]
    ) -> None:
        """Do all in one script.

        Raises:
            BusUnavailableError, WebhookStoreError: It was not done, or may not have been.
        """
        arguments = [lead.token, lead.name, self._queue_size, b"%d" % len(items)]
        arguments += _arguments(items)
        for key, value in changes.items():
            # An empty argument removes; a value has a mark before it.
            arguments += (key.encode(), b"" if value is None else b"=" + value)
        try:
            outcome: int = await self._run_script(scripts.COMMIT, CONFIRM_TIMEOUT, *arguments)
        except BusRefusedError as error:
            raise _refusal(error) from error
        if outcome == scripts.DEPOSED:
            raise DeposedError("the app is led by somebody else by now")
        if outcome == scripts.FULL:
            raise QueueFullError("a queue is full")

    async def read(self, queue: Queue, after: int, limit: int) -> list[Stored]:
        """Read from a place on.

        Raises:
            BusError: The server did not answer, or refused.
        """
        first = _encode_place(after + 1)
        words = (b"XRANGE", scripts.queue_key(queue), first, b"+", b"COUNT", b"%d" % limit)
        events = await self._reply(command(*words))
        return [Stored(_decode_place(place), fields[1]) for place, fields in events]

    async def remove(self, queue: Queue, up_to: int) -> None:
        """Remove all up to a place.

        Raises:
            BusError: The server did not answer, or refused.
        """
        first_kept = _encode_place(up_to + 1)
        words = (b"XTRIM", scripts.queue_key(queue), b"MINID", b"=", first_kept)
        await self._reply(command(*words))

    async def size(self, queue: Queue) -> int:
        """Count a queue.

        Raises:
            BusError: The server did not answer, or refused.
        """
        count: int = await self._reply(command(b"XLEN", scripts.queue_key(queue)))
        return count

    async def take(self, lead: RedisLead) -> dict[str, bytes]:
        """Have nobody else write a ledger any more, and then read it.

        Raises:
            BusError: The server did not answer, or refused.
        """
        await self._reply(command(b"SET", scripts.LEADER + lead.name, lead.token))
        ledger: dict[str, bytes] = {}
        cursor = b"0"
        while True:
            words = (b"HSCAN", scripts.LEDGER + lead.name, cursor, b"COUNT", _PAGE)
            cursor, fields = await self._reply(command(*words))
            for key, value in zip(fields[::2], fields[1::2], strict=True):
                ledger[key.decode()] = value[1:]
            if cursor == b"0":
                return ledger

    async def _prepare(self) -> None:
        await self._load([scripts.ENQUEUE, scripts.COMMIT])
        self._changes.put(command(b"SUBSCRIBE", HINTS.encode()))
        (info,) = await self._replies([command(b"INFO", b"persistence")], CONFIRM_TIMEOUT)
        # A user may lack the permission to ask.
        if isinstance(info, bytes) and _AOF_OFF.search(info):
            log.warning(
                "redis keeps no append-only file, and a restart of it loses webhooks",
                server=self.server,
                needed="appendonly yes",
            )

    async def _reply(self, words: bytes) -> Any:
        """Do one command.

        Raises:
            BusUnavailableError: There was no reply in time, or the connection was lost.
            BusRefusedError: The server refused.
        """
        (reply,) = await self._replies([words], CONFIRM_TIMEOUT)
        if isinstance(reply, Exception):
            raise BusRefusedError(str(reply))
        return reply

    def _delivered(self, subject: bytes, payload: bytes) -> None:
        """Take the name of a queue in which something was stored."""
        del subject
        try:
            queue = queue_of(payload)
        except ValueError as error:
            # Somebody published on the subject who is not the script.
            log.warning("a hint of a webhook was ignored", reason=str(error))
            return
        self._stored_event(queue)


def _arguments(items: Sequence[Item]) -> list[bytes]:
    """Name each item's queue, id and body, as the scripts take them."""
    return [
        argument
        for item in items
        for argument in (queue_tokens(item.queue).encode(), item.id.encode(), item.body)
    ]


def _refusal(error: BusRefusedError) -> WebhookStoreError:
    """Say why nothing was stored."""
    is_full = _NO_MEMORY in str(error)
    return QueueFullError(str(error)) if is_full else StoreUnavailableError(str(error))


def _encode_place(place: int) -> bytes:
    return b"%d-%d" % (place >> _PLACE_BITS, place & ((1 << _PLACE_BITS) - 1))


def _decode_place(text: bytes) -> int:
    milliseconds, _, number = text.partition(b"-")
    return (int(milliseconds) << _PLACE_BITS) + int(number)
