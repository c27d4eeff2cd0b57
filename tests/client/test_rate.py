"""What the Python clients make of an app's rate."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from pogo.bus.memory import MemoryBus
from pogo.client import AsyncClient, Client, Event, PublishError
from tests.broker.helpers import APP, RunningBroker, listen, make_settings, memory_bus
from tests.broker.helpers import running_broker as run

LIMITED = APP.model_copy(update={"event_rate": 0.1})
"""One event, and then none for ten seconds."""


@pytest_asyncio.fixture(name="bus")
async def _bus() -> AsyncIterator[MemoryBus]:
    async with memory_bus() as bus:
        yield bus


@pytest_asyncio.fixture(name="broker")
async def _broker(bus: MemoryBus) -> AsyncIterator[RunningBroker]:
    async with run(bus, make_settings(apps=(LIMITED,))) as broker:
        yield broker


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_over_the_rate(broker: RunningBroker, bus: MemoryBus, kind: type[Any]) -> None:
    """The call is refused as a whole, once, and the error says when to come back."""
    heard = listen(bus, "news")
    client = kind(
        f"127.0.0.1:{broker.server.grpc_port}",
        app_id=APP.id,
        key=APP.key,
        secret=APP.secret.get_secret_value(),
    )

    async def call(method: str, *arguments: object) -> None:
        made = getattr(client, method)
        await (made(*arguments) if kind is AsyncClient else asyncio.to_thread(made, *arguments))

    await call("publish", "news", "headline", {})
    for method, *arguments in (
        ("publish", "news", "headline", {}),
        ("broadcast", ["news", "sport"], "headline", {}),
        ("publish_batch", [Event("news", "headline", {})] * 2),
    ):
        with pytest.raises(PublishError) as caught:
            await call(str(method), *arguments)
        error = caught.value

        assert (None, "RESOURCE_EXHAUSTED", ()) == (error.code, error.name, error.outcomes)
        assert "the app has reached its rate of 0.1 events a second" in str(error)
        assert error.retry_after is not None
        assert 5.0 < error.retry_after <= 20.0
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (it was made here)
        assert error.retry_after == copy.retry_after
    assert 1 == len(heard)
    # No client tried again by itself.
    assert 3.0 == broker.metrics.get_sample_value(
        "pogo_websocket_rate_limited_calls_total", {"kind": "events"}
    )
    closing = client.close()
    if kind is AsyncClient:
        await closing
