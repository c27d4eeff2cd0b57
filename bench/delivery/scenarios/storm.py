"""A reconnect storm: all clients are cut off, and come back at once."""

from bench.cpu import cpu_seconds
from bench.delivery.context import Context
from bench.delivery.report import Row

TITLE = "5,000 clients that come back at once"
_CLIENTS = 5000
_CHANNELS = (("shared channel", "news"), ("own channels", "private-App.Models.User.*"))


async def run(context: Context) -> None:
    """Time it until the last one is subscribed again, on an edge on NATS."""
    clients = context.clients(_CLIENTS)
    for name, channel in _CHANNELS:
        async with context.site("nats") as site, site.load() as load:
            await load.open(clients, channel)
            before = cpu_seconds(site.edge.pid)
            await load.drop()
            figures = await load.open(clients, channel, at_a_time=clients)
            used = cpu_seconds(site.edge.pid) - before
            context.report.check_load(figures)
            case = f"edge, {clients:,} clients, {name}"
            context.report.add(
                Row(
                    case,
                    "until all are back",
                    figures.wall / 1e9,
                    "s",
                    beside={"share_of_clients": figures.share},
                )
            )
            context.report.add(
                Row(case, "CPU a client, its leaving included", used / clients * 1e6, "µs")
            )
