"""A process that leads an app and commits until it is killed."""

import asyncio
import os

from pogo.webhooks import WebhookStore, ledger
from pogo.webhooks.nats import NatsWebhookStore
from pogo.webhooks.redis import RedisOptions, RedisWebhookStore
from tests.webhooks.helpers import APP, OTHER, item

KEYS = 7


def open_store(kind: str, port: int, size: int) -> WebhookStore:
    """Make a store on a server of this machine."""
    if kind == "nats":
        return NatsWebhookStore([f"nats://127.0.0.1:{port}"], size)
    return RedisWebhookStore(RedisOptions(port=port), size)


def run(kind: str, port: int, size: int) -> None:
    """Commit for ever: a number that counts, and an event in two queues for each."""
    # So that it is also killed while it shortens its log.
    ledger.MIN_EXCESS = 2_000
    asyncio.run(_commit(open_store(kind, port, size)))
    # Nothing ends it but a signal.
    os.abort()


async def _commit(store: WebhookStore) -> None:
    await store.start()
    lead, found = await store.lead(APP)
    number = int(found.get("number", b"0"))
    while True:
        number += 1
        value = b"%d" % number
        changes: dict[str, bytes | None] = {"number": value, f"key-{number % KEYS}": value}
        changes[f"key-{(number + 1) % KEYS}"] = None
        await store.commit(lead, changes, [item(number), item(number, OTHER)])
