"""Records on Redis: a string for each, and a script that writes them.

Under `pogo:v1:` a bucket has a counter, `r:{bucket}`, which is its last revision, and its records,
`r:{bucket}:{key}`, each as `{revision}={value}`. The counter begins with the time in microseconds,
so that a server which has lost everything uses no revision again. The server must not evict keys
(`maxmemory-policy noeviction`): a warning tells where it may.
"""

import functools
import re
from collections.abc import Callable, Sequence

import structlog

from pogo.bus import BusError, BusRefusedError
from pogo.bus.redis_connection import RedisServers
from pogo.bus.redis_link import Link, RedisOptions, command
from pogo.bus.redis_scripts import Script, ScriptSession
from pogo.records.interface import (
    CONFIRM_TIMEOUT,
    Record,
    RecordMismatchError,
    Records,
    RecordsError,
    Write,
)
from pogo.records.remote import PING_TIMEOUT, RecordsConnection, RemoteRecords

__all__ = ["RedisOptions", "RedisRecords"]

log = structlog.get_logger()

_MISMATCH = -1

_POLICY = re.compile(rb"^maxmemory_policy:(\S+)", re.MULTILINE)
_NO_EVICTION = b"noeviction"

_WRITE = Script("""
if redis.call('EXISTS', ARGV[1]) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', ARGV[1], now[1] .. string.format('%06d', now[2]))
end
local outcomes = {}
for i = 2, #ARGV, 4 do
  local key, value, ttl, revision = ARGV[1] .. ':' .. ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local actual = revision
  if revision ~= '' then
    local stored = redis.call('GET', key)
    actual = stored and string.match(stored, '^%d+') or '0'
  end
  if actual ~= revision then
    outcomes[#outcomes + 1] = -1
  elseif ttl == '0' then
    redis.call('DEL', key)
    outcomes[#outcomes + 1] = 0
  else
    local new = redis.call('INCR', ARGV[1])
    redis.call('SET', key, string.format('%.0f', new) .. '=' .. value, 'EX', ttl)
    outcomes[#outcomes + 1] = new
  end
end
return outcomes
""")
"""Takes the bucket, and for each write a key, a value, a lifetime (0 to remove) and a revision
(empty for any or none).

Returns for each the new revision, 0 of what was removed, or -1 where the revision is another.
"""


class RedisRecordsConnection(ScriptSession, RecordsConnection):
    """A session with a redis-server that holds a bucket: see `RedisSession`.

    Args:
        bucket: Where its records are.
    """

    def __init__(
        self,
        server: str,
        listening: Link,
        publishing: Link,
        refused: Callable[[str], None],
        *,
        bucket: bytes,
    ) -> None:
        super().__init__(server, listening, publishing, refused, ping_timeout=PING_TIMEOUT)
        self._bucket = bucket

    async def write(self, writes: Sequence[Write]) -> list[int | RecordsError]:
        """Do all writes in one script."""
        arguments: list[bytes] = []
        for write in writes:
            ttl = 0 if write.value is None else write.ttl
            arguments += (write.key.encode(), write.value or b"", b"%d" % ttl)
            arguments.append(b"" if write.revision is None else b"%d" % write.revision)
        try:
            outcomes: list[int] = await self._run_script(
                _WRITE, CONFIRM_TIMEOUT, self._bucket, *arguments
            )
        except BusRefusedError as error:
            return [RecordsError(str(error))] * len(writes)
        return [_outcome(write, outcome) for write, outcome in zip(writes, outcomes, strict=True)]

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Read all at once."""
        names = [b"%b:%b" % (self._bucket, key.encode()) for key in keys]
        (reply,) = await self._replies([command(b"MGET", *names)], CONFIRM_TIMEOUT)
        if isinstance(reply, Exception):
            raise RecordsError(str(reply))
        return [None if stored is None else _record(stored) for stored in reply]

    async def _prepare(self) -> None:
        await self._load([_WRITE])
        (info,) = await self._replies([command(b"INFO", b"memory")], CONFIRM_TIMEOUT)
        # A user may lack the permission to ask.
        policy = _POLICY.search(info) if isinstance(info, bytes) else None
        if policy is not None and policy[1] != _NO_EVICTION:
            log.warning(
                "redis may evict records: what they stand for would be done twice, or forgotten",
                server=self.server,
                maxmemory_policy=policy[1].decode(),
                needed=_NO_EVICTION.decode(),
            )

    def _delivered(self, subject: bytes, payload: bytes) -> None:
        """Take nothing: nothing is subscribed to."""


class RedisRecords(RemoteRecords):
    """A bucket in a database of one redis-server, or of the master that sentinels name.

    Args:
        options: Where Redis is and how to log in.
        bucket: The bucket's name.
    """

    kind = "redis"

    def __init__(self, options: RedisOptions, bucket: str) -> None:
        super().__init__(f"records of {bucket}")
        self._servers = RedisServers(options)
        self._make = functools.partial(
            RedisRecordsConnection, bucket=f"pogo:v1:r:{bucket}".encode()
        )

    async def start(self) -> None:
        """Read the sentinels' addresses, and connect or begin trying to."""
        try:
            self._servers.parse()
        except BusError as error:
            raise RecordsError(str(error)) from error
        await super().start()

    async def _open(self) -> RecordsConnection:
        return await self._servers.open(self._make)


def _outcome(write: Write, outcome: int) -> int | RecordsError:
    if outcome == _MISMATCH:
        return RecordMismatchError(f"{write.key} is not at {write.revision}")
    return outcome


def _record(stored: bytes) -> Record:
    revision, _, value = stored.partition(b"=")
    return Record(value, int(revision))


_: type[Records] = RedisRecords
