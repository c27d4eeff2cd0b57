"""The cache channels of this edge: their records are read, and what they remember is bounded."""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence

from pogo.edge.channel import Channel
from pogo.edge.channel_cache import ChannelCache
from pogo.edge.metrics import EdgeMetrics
from pogo.records import Records, RecordsError
from pogo.telemetry import get_logger

READ_CHANNELS = 64
"""Channels of one read: 16 MiB where each event is as large as it may be by default."""

READ_WITHIN = 1.0
"""Seconds for which channels wait for their turn to be read, which takes half a second at the most.
Whatever waits for longer is not read, and neither is anything that waits when a read fails."""

MAX_HEARD_BYTES = 64 * 1024 * 1024
"""Bytes of the events that were heard last on all channels of an edge. Beyond it, the channels that
were quiet for longest are read again when somebody subscribes."""

CacheMissed = Callable[[str, str], None]
"""Takes the ids of an app and of a cache channel that remembers nothing, although somebody asked.
It must not raise."""

_log = get_logger()


class Caches:
    """The cache channels of an edge, and the reading of their records."""

    def __init__(
        self, records: Records, metrics: EdgeMetrics, *, ttl: float, missed: CacheMissed
    ) -> None:
        """Remember for `ttl` seconds what was heard; `missed` takes each miss."""
        self._records = records
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._ttl = ttl
        self._missed = missed
        self._caches: dict[Channel, ChannelCache] = {}
        # Those whose record is asked for, in order, and since when.
        self._asked: dict[ChannelCache, float] = {}
        self._wake = asyncio.Event()
        # Those that remember what they have heard, the quietest first, with its bytes.
        self._heard: OrderedDict[ChannelCache, int] = OrderedDict()
        self._heard_bytes = 0
        self._failing = False

    @property
    def waiting(self) -> int:
        """How many channels wait for their record."""
        return len(self._asked)

    def get(self, channel: Channel) -> ChannelCache | None:
        """Return what a channel remembers, if it is a cache channel."""
        return self._caches.get(channel)

    def open(self, channel: Channel) -> ChannelCache:
        """Begin to hear a cache channel."""
        cache = self._caches[channel] = ChannelCache(
            channel, caches=self, metrics=self._metrics, loop=self._loop
        )
        return cache

    def close(self, channel: Channel) -> None:
        """Forget a channel, if it is a cache channel."""
        cache = self._caches.pop(channel, None)
        if cache is not None:
            self._asked.pop(cache, None)
            cache.stop()

    def forget(self) -> None:
        """Take that something may not have been heard: the bus was away."""
        for cache in self._caches.values():
            cache.distrust()

    async def run(self) -> None:
        """Read records, for ever: of all channels that were asked for meanwhile at a time."""
        while True:
            if not self._asked:
                self._wake.clear()
                await self._wake.wait()
            await self._read()

    async def _read(self) -> None:
        oldest = self._loop.time() - READ_WITHIN
        late = list(itertools.takewhile(lambda cache: self._asked[cache] < oldest, self._asked))
        if late:
            self._fail(late, "it takes too long")
        some = list(itertools.islice(self._asked, READ_CHANNELS))
        if not some:
            return
        try:
            records = await self._records.get([cache.key for cache in some])
        except RecordsError as error:
            self._fail(list(self._asked), str(error))
            return
        if self._failing and not late:
            self._failing = False
            _log.info("edge reads the records of cache channels again")
        for cache, record in zip(some, records, strict=True):
            # Or it was closed meanwhile.
            if cache in self._asked:
                del self._asked[cache]
                cache.found(record)

    def _fail(self, caches: Sequence[ChannelCache], reason: str) -> None:
        if not self._failing:
            self._failing = True
            _log.warning(
                "edge cannot read the records of cache channels: subscribers begin with nothing",
                reason=reason,
            )
        for cache in caches:
            # Or it was closed meanwhile.
            if cache in self._asked:
                del self._asked[cache]
                cache.unknown()

    # What the caches of the channels ask

    def ask(self, cache: ChannelCache) -> None:
        """Have the record of a channel read."""
        self._asked[cache] = self._loop.time()
        self._wake.set()

    def heard(self, cache: ChannelCache, size: int) -> float:
        """Make room for what a channel has heard; returns until when it may be given."""
        self.forgot(cache)
        self._heard[cache] = size
        self._heard_bytes += size
        if self._heard_bytes > MAX_HEARD_BYTES:
            self._shrink()
        return self._loop.time() + self._ttl

    def forgot(self, cache: ChannelCache) -> None:
        """Take that a channel remembers nothing any more."""
        self._heard_bytes -= self._heard.pop(cache, 0)

    def missed(self, channel: Channel) -> None:
        """Take that there was nothing for some who were admitted together."""
        self._missed(channel.app_id, channel.name)

    def _shrink(self) -> None:
        """Forget what was heard longest ago, but not where it outdates the record being read."""
        while self._heard_bytes > MAX_HEARD_BYTES:
            quietest = next((cache for cache in self._heard if cache not in self._asked), None)
            if quietest is None:
                return
            quietest.forget()
