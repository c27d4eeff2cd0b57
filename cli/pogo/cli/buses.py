"""The bus that the settings ask for."""

from pogo.bus import Bus
from pogo.cli.errors import UsageError
from pogo.settings import Settings


def open_bus(settings: Settings) -> Bus:
    """Make the bus; it is not started yet.

    Raises:
        UsageError: What it needs is not installed.
    """
    try:
        match settings.bus:
            case "memory":
                from pogo.bus.memory import MemoryBus

                return MemoryBus()
            case "nats":
                return _nats(settings)
            case "redis":
                return _redis(settings)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"bus = {settings.bus!r} needs the package {error.name}: "
            f"pip install 'pogo-websocket[{settings.bus}]'"
        ) from error


def _nats(settings: Settings) -> Bus:
    from pogo.bus.nats import NatsBus

    return NatsBus(settings.nats_url)


def _redis(settings: Settings) -> Bus:
    from pogo.bus.redis import RedisBus

    raise NotImplementedError
