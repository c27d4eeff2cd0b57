"""What an edge does while the bus or the registry is away.

It owns what is said of them by the health check, and the clients' time of grace: without the bus
they are deaf, so after `bus_grace` nobody new is let in, and those that are here are closed.
"""

import asyncio

from pogo.bus import Bus
from pogo.edge.closing import close_all
from pogo.edge.health import Health
from pogo.edge.hub import Hub
from pogo.registry import Registry
from pogo.telemetry import get_logger

_log = get_logger()


class Outages:
    """Follows the bus and the registry of an edge.

    Args:
        health: Is told what is away.
        bus_grace: Seconds for which clients are kept without a bus.
        closing_time: Seconds over which they are closed after that, at the most.
    """

    def __init__(self, hub: Hub, health: Health, *, bus_grace: float, closing_time: float) -> None:
        self._hub = hub
        self._health = health
        self._bus_grace = bus_grace
        self._closing_time = closing_time
        # Whether the bus has been away for longer than clients are kept without it.
        self.bus_away_for_long = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing_all: asyncio.Task[None] | None = None

    def start(self, bus: Bus, registry: Registry) -> None:
        """Take how things are, and follow what becomes of them."""
        self._bus_changed(bus.connected, "not connected yet")
        bus.add_status_listener(self._bus_changed)
        self._registry_changed(registry.connected, "not connected yet")
        registry.add_status_listener(self._registry_changed)

    def drain(self) -> None:
        """Close nobody any more: whoever drains the edge closes everybody."""
        self._stop_timer()
        self._stop_closing()

    def _registry_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 - StatusListener
        """Follow the registry: without it, nobody new is present, and nobody is seen to leave."""
        self._health.registry_down = "" if connected else reason

    def _bus_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 - StatusListener
        """Follow the bus: without it, clients are deaf, and are told so after a while."""
        self._health.bus_down = "" if connected else reason
        self._stop_timer()
        if connected:
            self.bus_away_for_long = False
            self._stop_closing()
            return
        self._hub.caches.forget()
        if not self._health.draining:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._bus_grace, self._bus_stays_away)

    def _bus_stays_away(self) -> None:
        self.bus_away_for_long = True
        _log.error("edge closes its clients: the bus stays away", connections=len(self._hub))
        self._closing_all = asyncio.create_task(
            close_all(self._hub, self._closing_time, "the server lost its bus")
        )
        self._closing_all.add_done_callback(_report_failure)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_closing(self) -> None:
        """Spare the clients that have not been closed yet for want of a bus."""
        closing, self._closing_all = self._closing_all, None
        if closing is not None:
            closing.cancel()


def _report_failure(task: asyncio.Task[None]) -> None:
    """See to it that a background task does not fail unseen."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("edge could not close its clients", exc_info=error)
