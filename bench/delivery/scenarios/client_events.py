"""Client events: one client sends, one other receives."""

import statistics

from bench.delivery.context import Context
from bench.delivery.native import LoadFigures
from bench.delivery.report import Row, Target

TITLE = "client events to one subscriber"
_CHANNEL = "private-chat"
_EVENTS_A_SECOND = 5000
_WINDOWS = (1, 50)
_ROUNDS = 5
_SIZE = 200
_TARGETS = {
    ("memory", 1): Target(40),
    ("memory", 50): Target(40),
    ("nats", 50): Target(60),
}


async def run(context: Context) -> None:
    """Keep one event in flight, and then many; on NATS each goes to the server and back."""
    for bus in ("memory", "nats"):
        async with context.site(bus) as site, site.load() as load:
            await load.open(2, _CHANNEL)
            count = round(context.seconds * _EVENTS_A_SECOND)
            await load.send_events(count // 5, _WINDOWS[-1], _SIZE)
            for window in _WINDOWS:
                each, rates = [], []
                for _ in range(_ROUNDS):
                    before = site.cpu
                    figures = await load.send_events(count, window, _SIZE)
                    each.append((site.cpu - before) / count * 1e6)
                    rates.append(_rate(figures))
                    context.report.check_load(figures)
                name = "edge" if bus == "nats" else "pogo serve"
                context.report.add(
                    Row(
                        f"{name}, {_SIZE} B, {window} in flight",
                        "CPU a client event",
                        statistics.median(each),
                        "µs",
                        target=_TARGETS.get((bus, window)),
                        beside={
                            "lowest": min(each),
                            "highest": max(each),
                            "events_per_second": statistics.median(rates),
                        },
                    )
                )


def _rate(figures: LoadFigures) -> float:
    return figures.events / figures.wall * 1e9
