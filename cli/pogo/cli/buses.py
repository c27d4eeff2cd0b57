"""The bus, the registry, the records and the webhook store that the settings ask for."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pogo.bus import Bus
from pogo.cli.errors import UsageError
from pogo.records import Records
from pogo.registry import Registry
from pogo.settings import Settings
from pogo.tls import ClientTls
from pogo.webhooks import WebhookStore

if TYPE_CHECKING:
    from pogo.bus.nats_login import NatsLogin
    from pogo.bus.redis import RedisOptions

MESSAGES_BUCKET = "pogo_messages"
"""The bucket of the records of message ids."""

CACHE_BUCKET = "pogo_cache"
"""The bucket of what cache channels remember."""


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

                return NatsBus(settings.nats_url, login=nats_login(settings))
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
                return NatsRegistry(settings.nats_url, options, login=nats_login(settings))
            case "redis":
                from pogo.registry.redis import RedisRegistry

                return RedisRegistry(redis_options(settings))


def open_records(settings: Settings) -> Records:
    """Make the records of message ids, on the servers of the bus; they are not started yet.

    Raises:
        UsageError: What they need is not installed.
    """
    return _open_bucket(settings, MESSAGES_BUCKET, settings.message_id_bytes)


def open_cache(settings: Settings) -> Records:
    """Make the records of cache channels, on the servers of the bus; they are not started yet.

    Raises:
        UsageError: What they need is not installed.
    """
    return _open_bucket(settings, CACHE_BUCKET, settings.cache_bytes)


def _open_bucket(settings: Settings, bucket: str, max_bytes: int) -> Records:
    with _what_is_needed(settings):
        match settings.bus:
            case "memory":
                from pogo.records.memory import MemoryRecords

                return MemoryRecords(max_bytes)
            case "nats":
                from pogo.records.nats import NatsRecords, StreamOptions

                options = StreamOptions(settings.nats_replicas, max_bytes)
                return NatsRecords(settings.nats_url, bucket, options, login=nats_login(settings))
            case "redis":
                from pogo.records.redis import RedisRecords

                return RedisRecords(redis_options(settings), bucket)


def open_webhook_store(settings: Settings) -> WebhookStore:
    """Make the store of webhooks, on the servers of the bus; it is not started yet.

    Raises:
        UsageError: What it needs is not installed.
    """
    size = settings.webhook_queue_size
    with _what_is_needed(settings):
        match settings.bus:
            case "memory":
                from pogo.webhooks.memory import MemoryWebhookStore

                return MemoryWebhookStore(size, settings.webhook_queue_bytes)
            case "nats":
                from pogo.webhooks.nats import NatsWebhookStore, StreamOptions

                queues = StreamOptions(settings.nats_replicas, settings.webhook_queue_bytes)
                # It tells of what is in the registry, and of the events of the last commits.
                bound = settings.nats_registry_bytes + settings.webhook_queue_bytes
                ledgers = StreamOptions(settings.nats_replicas, bound)
                login = nats_login(settings)
                return NatsWebhookStore(settings.nats_url, size, queues, ledgers, login=login)
            case "redis":
                from pogo.webhooks.redis import RedisWebhookStore

                return RedisWebhookStore(redis_options(settings), size)


@contextlib.contextmanager
def _what_is_needed(settings: Settings) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"bus = {settings.bus!r} needs a package that is not installed, {error.name}: "
            f"pip install 'pogo-websocket[{settings.bus}]'"
        ) from error


def nats_login(settings: Settings) -> "NatsLogin":
    """Say how to log in to NATS."""
    from pogo.bus.nats_login import NatsLogin

    return NatsLogin(
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value(),
        token=settings.nats_token.get_secret_value(),
        creds=settings.nats_creds,
        nkey=settings.nats_nkey,
        tls=ClientTls(settings.nats_tls_ca, settings.nats_tls_cert, settings.nats_tls_key),
    )


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
        client_tls=ClientTls(
            settings.redis_tls_ca, settings.redis_tls_cert, settings.redis_tls_key
        ),
        sentinels=settings.redis_sentinels,
        sentinel_master=settings.redis_sentinel_master,
        sentinel_password=settings.redis_sentinel_password.get_secret_value(),
    )
