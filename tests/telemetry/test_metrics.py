import errno

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from pogo.telemetry import MetricsServer


async def _get(port: int, accept: str = "") -> tuple[str, str]:
    async with (
        aiohttp.ClientSession(headers={"Accept": accept}) as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as response,
    ):
        assert 200 == response.status
        return response.headers["Content-Type"], await response.text()


async def test_the_page_shows_the_registry() -> None:
    """Port 0 takes a free port, and each request sees the values of its moment."""
    registry = CollectorRegistry()
    counter = Counter("pogo_test", "Counted here.", registry=registry)
    server = MetricsServer(registry, "127.0.0.1", 0)
    await server.start()
    try:
        before = await _get(server.port)
        counter.inc(3)
        after = await _get(server.port)
    finally:
        await server.stop()

    assert before[0].startswith("text/plain; version=")
    assert "pogo_test_total 0.0\n" in before[1]
    assert "pogo_test_total 3.0\n" in after[1]


async def test_openmetrics_is_given_to_who_asks() -> None:
    """Prometheus negotiates the format by the Accept header."""
    server = MetricsServer(CollectorRegistry(), "127.0.0.1", 0)
    await server.start()
    try:
        content_type, body = await _get(server.port, "application/openmetrics-text; version=1.0.0")
    finally:
        await server.stop()

    assert content_type.startswith("application/openmetrics-text")
    assert "# EOF\n" == body


async def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    """The second server fails with EADDRINUSE; the first goes on; stopping twice is harmless."""
    first = MetricsServer(CollectorRegistry(), "127.0.0.1", 0)
    await first.start()
    second = MetricsServer(CollectorRegistry(), "127.0.0.1", first.port)
    try:
        with pytest.raises(OSError, match=str(first.port)) as caught:
            await second.start()
        await _get(first.port)
    finally:
        await second.stop()
        await first.stop()

    assert errno.EADDRINUSE == caught.value.errno
    with pytest.raises(aiohttp.ClientConnectorError):
        await _get(first.port)
