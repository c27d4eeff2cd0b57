"""Who publishes in a soak: by gRPC, one event, several channels and batches; and by HTTP."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable

import aiohttp
from tests.servers import HOST

from bench.delivery.site import APP, SECRET
from bench.soak.client import Activity
from bench.soak.plan import Plan
from pogo.client import AsyncClient, Event, PublishError

_GRPC_RATE = 8.0
_HTTP_RATE = 4.0
"""Calls a second."""

_BATCH = 10
_BROADCAST = 3
_DATA = json.dumps({"text": "x" * 150})
_EVENT = "event"
_TIMEOUT = 20.0
_OK = 200


async def publish_grpc(broker: str, plan: Plan, activity: Activity) -> None:
    """Publish by gRPC until cancelled: each kind of call in turn, the batches with a message id."""
    async with AsyncClient(broker, app_id=APP, secret=SECRET) as client:

        async def one() -> int:
            await client.publish(plan.channel(), _EVENT, _DATA)
            return 1

        async def several() -> int:
            # A call names a channel once.
            channels = {plan.channel() for _ in range(_BROADCAST)}
            await client.broadcast(sorted(channels), _EVENT, _DATA)
            return len(channels)

        async def many() -> int:
            events = [Event(plan.channel(), _EVENT, _DATA) for _ in range(_BATCH)]
            await client.publish_batch(events, message_id=str(time.monotonic_ns()))
            return _BATCH

        await _go_on([one, several, many], plan, activity, _GRPC_RATE)


async def publish_http(port: int, plan: Plan, activity: Activity) -> None:
    """Publish by the Pusher HTTP API until cancelled."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    async with aiohttp.ClientSession(f"http://{HOST}:{port}", timeout=timeout) as session:

        async def one() -> int:
            body = json.dumps({"name": _EVENT, "channels": [plan.channel()], "data": _DATA})
            async with session.post(_signed("events", body), data=body) as response:
                if response.status != _OK:
                    raise PublishError(None, f"HTTP {response.status}", await response.text())
            return 1

        await _go_on([one], plan, activity, _HTTP_RATE)


async def _go_on(
    calls: list[Callable[[], Awaitable[int]]], plan: Plan, activity: Activity, rate: float
) -> None:
    """Make one call after the other, at random moments, so many a second on average."""
    while True:
        for call in calls:
            await asyncio.sleep(plan.gap(rate))
            try:
                activity.published += await call()
            except (PublishError, aiohttp.ClientError, TimeoutError) as error:
                activity.faults[f"{type(error).__name__}: {error}"] += 1


def _signed(what: str, body: str) -> str:
    """Return the path of a request, signed as Pusher's "HTTP API, Authentication" says."""
    path = f"/apps/{APP}/{what}"
    digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    query = f"auth_key={APP}&auth_timestamp={time.time():.0f}&auth_version=1.0&body_md5={digest}"
    signature = hmac.digest(SECRET.encode(), f"POST\n{path}\n{query}".encode(), "sha256").hex()
    return f"{path}?{query}&auth_signature={signature}"
