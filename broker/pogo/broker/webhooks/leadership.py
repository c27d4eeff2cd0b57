"""Which broker looks after the webhooks of an app.

There is no election: every broker sees the same live brokers, and finds the same one by rendezvous
hashing. Where two believe it for a moment, the store decides (`WebhookStore.lead`).
"""

import hashlib
from collections.abc import Iterable


def leader_of(app_id: str, processes: Iterable[str]) -> str:
    """Return the process that leads an app, of those that there are; empty if there are none.

    When one goes, only the apps that it led change hands.
    """
    return max(processes, key=lambda process: _weight(app_id, process), default="")


def _weight(app_id: str, process: str) -> bytes:
    return hashlib.sha256(f"{process} {app_id}".encode()).digest()
