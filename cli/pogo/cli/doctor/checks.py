"""All checks there are, in the order in which people should read them."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from pogo.bus import BusError
from pogo.cli.buses import open_bus
from pogo.cli.doctor.bus_server import BusServer, bus_server
from pogo.cli.doctor.certificates import check_certificates
from pogo.cli.doctor.clock import judge_clocks
from pogo.cli.doctor.edge import check_edge, check_proxies
from pogo.cli.doctor.findings import Check, Finding, skipped, wrong
from pogo.cli.doctor.http_api import check_http_api, clock_of
from pogo.cli.doctor.machine import check_files, check_secrets, check_settings
from pogo.cli.doctor.messages import check_messages
from pogo.cli.doctor.nodes import PATIENCE, check_nodes
from pogo.cli.doctor.rpc import check_authsvc, check_broker
from pogo.cli.doctor.targets import Targets
from pogo.cli.doctor.worker import check_worker
from pogo.settings import Settings
from pogo.webhooks import Endpoints

_BUS = "bus"
_EDGE = "edge"


def all_checks(settings: Settings, origins: Mapping[str, str], targets: Targets) -> list[Check]:
    """Make the checks for these settings.

    Args:
        settings: What services would be started with.
        origins: What set each of them.
        targets: Which services are tried.

    Raises:
        UsageError: A package that the bus needs is not installed.
    """
    bus = open_bus(settings)
    server = bus_server(settings)
    app_id = settings.apps[0].id if settings.apps else "-"
    if server is None:
        of_bus = [Check(_BUS, _in_one_process)]
    else:
        of_bus = [
            Check(_BUS, server.reach),
            Check("messages", partial(check_messages, bus, app_id), needs=_BUS),
            Check("registry", partial(_ask, server.registry), needs=_BUS),
            Check("records", partial(_ask, server.records), needs=_BUS),
            Check("webhooks", partial(_check_webhooks, server, settings), needs=_BUS),
            Check("nodes", partial(check_nodes, server), needs=_BUS, patience=PATIENCE),
        ]
    return [
        Check("settings", partial(check_settings, settings, origins)),
        Check("secrets", partial(check_secrets, settings)),
        Check("file limit", partial(check_files, settings)),
        Check("certificates", partial(check_certificates, settings)),
        *of_bus,
        Check("clock", partial(_check_clock, server, targets)),
        Check(_EDGE, partial(check_edge, targets)),
        Check("proxies", partial(check_proxies, settings, targets), needs=_EDGE),
        Check("http api", partial(check_http_api, targets)),
        Check("broker", partial(check_broker, targets)),
        Check("auth service", partial(check_authsvc, targets)),
        Check("php worker", partial(check_worker, settings)),
    ]


async def _in_one_process() -> Finding:
    return skipped("bus is 'memory': all of it lives in the process of `pogo serve`")


async def _ask(question: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await question()
    except BusError as error:
        return wrong(
            f"it cannot be looked at: {error}",
            "let this user: deploy/bus has the permissions that edges and brokers need",
        )


async def _check_webhooks(server: BusServer, settings: Settings) -> Finding:
    if not Endpoints(settings.apps, settings.webhook_url).app_ids:
        return skipped("no app has webhooks")
    return await _ask(server.webhooks)


async def _check_clock(server: BusServer | None, targets: Targets) -> Finding:
    offsets = {}
    try:
        if server is not None and (ahead := await server.clock()) is not None:
            offsets["the bus server"] = ahead
    except BusError:
        # That it is away is found elsewhere.
        pass
    if (ahead := await clock_of(targets)) is not None:
        offsets[str(targets.api)] = ahead
    return judge_clocks(offsets)
