"""The bus and the registry that the settings ask for."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pogo.bus import Bus
from pogo.cli.errors import UsageError
from pogo.registry import Registry
from pogo.settings import Settings

if TYPE_CHECKING:
    from pogo.bus.redis import RedisOptions


def open_bus(settings: Settings) -> Bus:
    """Make the bus; it is not started yet.

    Raises:
        UsageError: What it needs is not installed.
    """
    with _what_is_needed(settings):
        match settings.bus:
            case "memory":
                from pogo.bus.memory import MemoryBus

                return MemoryBus()
            case "nats":
                from pogo.bus.nats import NatsBus

                return NatsBus(settings.nats_url)
            case "redis":
                from pogo.bus.redis import RedisBus

                return RedisBus(redis_options(settings))


def open_registry(settings: Settings) -> Registry:
    """Make the registry, on the servers of the bus; it is not started yet.

    Raises:
        UsageError: What it needs is not installed.
    """
    with _what_is_needed(settings):
        match settings.bus:
            case "memory":
                from pogo.registry.memory import MemoryRegistry

                return MemoryRegistry()
            case "nats":
                from pogo.registry.nats import NatsRegistry, StreamOptions

                options = StreamOptions(settings.nats_replicas, settings.nats_registry_bytes)
                return NatsRegistry(settings.nats_url, options)
            case "redis":
                from pogo.registry.redis import RedisRegistry

                return RedisRegistry(redis_options(settings))


@contextlib.contextmanager
def _what_is_needed(settings: Settings) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"bus = {settings.bus!r} needs a package that is not installed, {error.name}: "
            f"pip install 'pogo-websocket[{settings.bus}]'"
        ) from error


def redis_options(settings: Settings) -> "RedisOptions":
    """Say how to reach Redis."""
    from pogo.bus.redis import RedisOptions

    return RedisOptions(
        host=settings.redis_host,
        port=settings.redis_port,
        user=settings.redis_user,
        password=settings.redis_password.get_secret_value(),
        db=settings.redis_db,
        tls=settings.redis_tls,
        sentinels=settings.redis_sentinels,
        sentinel_master=settings.redis_sentinel_master,
        sentinel_password=settings.redis_sentinel_password.get_secret_value(),
    )
