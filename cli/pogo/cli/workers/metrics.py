"""The metrics of all workers as one page: the same families, with a label `worker`."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pogo.cli.workers.slot import Slot
from pogo.telemetry import metrics_page

_LABEL = "worker"
_PARENT = "parent"
_PREFIX = "pogo_websocket_"


class WorkerMetrics(Collector):
    """Collects what the workers said at the last `refresh`, and what the parent knows of them.

    Args:
        slots: Where the workers are.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self._pages: Mapping[str, bytes] = {}
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)

    async def refresh(self) -> None:
        """Ask all workers at once. Whoever does not answer in time is left out, and not up."""
        pages = await asyncio.gather(*(slot.metrics() for slot in self._slots))
        self._pages = {
            str(slot.number): page
            for slot, page in zip(self._slots, pages, strict=True)
            if page is not None
        }

    def collect(self) -> Iterator[Metric]:
        """Report them."""
        yield GaugeMetricFamily(
            f"{_PREFIX}workers", "Workers that there should be.", value=len(self._slots)
        )
        up = GaugeMetricFamily(
            f"{_PREFIX}worker_up", "Whether a worker serves and answers.", labels=[_LABEL]
        )
        restarts = CounterMetricFamily(
            f"{_PREFIX}worker_restarts",
            "How often a worker was missing that nobody had stopped.",
            labels=[_LABEL],
        )
        for slot in self._slots:
            name = str(slot.number)
            up.add_metric([name], name in self._pages)
            restarts.add_metric([name], slot.restarts)
        yield from (up, restarts)
        yield from merge({_PARENT: metrics_page(self._own), **self._pages})


def merge(pages: Mapping[str, bytes]) -> Iterable[Metric]:
    """Join pages by families of metrics; each sample gets the name of its page as a label."""
    families: dict[str, Metric] = {}
    for name, page in pages.items():
        for family in text_string_to_metric_families(page.decode()):
            merged = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            merged.samples += [
                sample._replace(labels={_LABEL: name, **sample.labels}) for sample in family.samples
            ]
    return families.values()
