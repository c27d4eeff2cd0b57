"""One soak, from the start of the services to the last client's leaving."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.delivery.site import APP, SECRET, Site, open_site
from bench.soak.client import Activity
from bench.soak.crowd import crowded
from bench.soak.plan import Plan
from bench.soak.samples import Sample, Sampler, open_sampler
from bench.soak.verdict import Evidence

_APP_TABLE = f"""[[apps]]
id = "{APP}"
secret = "{SECRET}"
subscription_count = true
watchlist = true
"""
_SETTINGS = {
    # The app is that of the file, since these features have no variable.
    "POGO_APP_ID": "",
    "POGO_APP_SECRET": "",
    # Cache channels forget within the warm-up, so what they hold is the same all the time.
    "POGO_CACHE_TTL": "5",
}

_REHEARSING = 10
"""Clients that do everything once beforehand, so that what stays open for good is open."""

_REHEARSAL = 3.0
_SETTLED_WITHIN = 30.0
"""Seconds in which everything of clients that left has to be gone."""

_LOOK_AGAIN = 0.5


@dataclass(slots=True)
class Record:
    """What there is of a soak, also where it was broken off."""

    samples: list[Sample] = field(default_factory=list)
    before: Sample | None = None
    after: Sample | None = None
    activity: Activity = field(default_factory=Activity)
    errors: list[str] = field(default_factory=list)

    @property
    def evidence(self) -> Evidence | None:
        """All of it; none where the soak was broken off."""
        if self.before is None or self.after is None:
            return None
        return Evidence(self.samples, self.before, self.after, self.activity, self.errors)


@dataclass(frozen=True, slots=True)
class Soak:
    """How long, and how much."""

    bus: str
    seconds: float
    clients: int
    stay: float
    """Seconds that a client stays on average."""
    every: float
    """Seconds between samples."""
    seed: int

    async def run(self, record: Record, progress: Callable[[Sample, Activity], None]) -> None:
        """Do all of it, and keep what is seen in `record`.

        Raises:
            OSError: A service has ended, or does not answer.
            RegistryError: The registry cannot be followed.
            ServerError: The server between the services did not start.
            ServiceError: A service did not start, or did not end well.
        """
        plan = Plan(self.seed, self.stay)
        with tempfile.TemporaryDirectory(prefix="pogo-soak-") as directory:
            folder = Path(directory)
            (folder / "pogo.toml").write_text(_APP_TABLE)
            async with (
                open_site(self.bus, folder, settings=_SETTINGS) as site,
                open_sampler(site) as sampler,
            ):
                async with crowded(site, Plan(self.seed, 1), Activity(), _REHEARSING):
                    await asyncio.sleep(_REHEARSAL)
                record.before = await _settle(sampler, None)
                try:
                    async with crowded(site, plan, record.activity, self.clients):
                        await self._watch(sampler, record, progress)
                    record.after = await _settle(sampler, record.before)
                finally:
                    record.errors += _errors(site)

    async def _watch(
        self, sampler: Sampler, record: Record, progress: Callable[[Sample, Activity], None]
    ) -> None:
        sampler.begin()
        loop = asyncio.get_running_loop()
        due = loop.time()
        end = due + self.seconds
        while due <= end:
            await asyncio.sleep(due - loop.time())
            record.samples.append(await sampler.take())
            progress(record.samples[-1], record.activity)
            due += self.every


async def _settle(sampler: Sampler, before: Sample | None) -> Sample:
    """Wait until nothing of the clients is left, or the time for it is over; and look."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SETTLED_WITHIN
    while True:
        sample = await sampler.take()
        files = before is None or all(
            count <= before.files[process] for process, count in sample.files.items()
        )
        if (files and not any(sample.held.values())) or loop.time() > deadline:
            return sample
        await asyncio.sleep(_LOOK_AGAIN)


def _errors(site: Site) -> list[str]:
    return [line for service in {site.broker, *site.edges} for line in service.errors()]
