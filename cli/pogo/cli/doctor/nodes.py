"""Which edges and brokers live, as their beats tell."""

import asyncio
from collections import Counter
from collections.abc import Collection

from pogo.bus import BusError
from pogo.cli.doctor.bus_server import BusServer
from pogo.cli.doctor.findings import Finding, ok, warning, wrong
from pogo.cluster.membership import BROKER, EDGE, TIMING
from pogo.cluster.nodes import Node

PATIENCE = 2 * TIMING.beat + 0.5
"""Seconds in which a node that lives has written its key anew, even if one beat is late."""

_LOOK_AGAIN = 0.5

_START = "start it with the same settings of the bus"


async def check_nodes(server: BusServer) -> Finding:
    """Read the keys of nodes until each was written anew, or should have been."""
    try:
        first = {node.name: node.revision for node in await server.nodes()}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        nodes = await server.nodes()
        while loop.time() < deadline and _silent(nodes, first):
            await asyncio.sleep(_LOOK_AGAIN)
            nodes = await server.nodes()
    except BusError as error:
        return wrong(
            f"the keys of nodes cannot be read: {error}",
            "let this user read the registry: deploy/bus has the permissions",
        )
    return judge_nodes(nodes, _silent(nodes, first))


def judge_nodes(nodes: Collection[Node], silent: Collection[str]) -> Finding:
    """Judge the nodes that have a key, some of which have not been heard of."""
    if silent:
        return warning(
            f"not heard of for {PATIENCE:g} s: {', '.join(sorted(silent))}",
            "see whether it was killed, is overloaded or is cut off from the bus: nodes that live "
            "remove it after some seconds",
        )
    counts = Counter(node.role for node in nodes)
    text = f"{counts[EDGE]} edge(s) and {counts[BROKER]} broker(s) live"
    if not counts[EDGE]:
        return warning(f"{text}: what is published gets status 1", f"an edge is missing: {_START}")
    if not counts[BROKER]:
        return warning(f"{text}: nobody can publish", f"a broker is missing: {_START}")
    return ok(text)


def _silent(nodes: Collection[Node], first: dict[str, int]) -> list[str]:
    """Name those that were there at first and have not been written anew."""
    return [node.name for node in nodes if first.get(node.name) == node.revision]
