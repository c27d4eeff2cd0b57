"""Webhooks on their way: queues of events for endpoints, and what was announced of channels."""

from pogo.webhooks.interface import (
    CONFIRM_TIMEOUT,
    DEDUPLICATION,
    MAX_AGE,
    MAX_COMMIT_BYTES,
    DeposedError,
    Item,
    Lead,
    Queue,
    QueueFullError,
    Stored,
    StoreUnavailableError,
    WebhookStore,
    WebhookStoreError,
)

__all__ = [
    "CONFIRM_TIMEOUT",
    "DEDUPLICATION",
    "MAX_AGE",
    "MAX_COMMIT_BYTES",
    "DeposedError",
    "Item",
    "Lead",
    "Queue",
    "QueueFullError",
    "StoreUnavailableError",
    "Stored",
    "WebhookStore",
    "WebhookStoreError",
]
