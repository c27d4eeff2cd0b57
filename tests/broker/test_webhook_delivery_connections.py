"""Connections to endpoints: they are used again, and what closes them meanwhile is no failure."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from pogo.webhooks.memory import MemoryWebhookStore
from tests.broker.deliveries import delivering, make_items, make_webhook, spread, until
from tests.servers import HOST

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Hasty:
    """An endpoint that closes connections without a word once it has answered enough on them."""

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self.ids: list[str] = []
        self.connections = 0
        self.is_cutting = False
        """Whether it closes connections instead of answering on them."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen; gives the URL."""
        server = await asyncio.start_server(self._serve, HOST, 0)
        async with server:
            yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for _ in range(self._requests):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, _, length = head.partition(b"content-length: ")
                body = json.loads(await reader.readexactly(int(length.split(b"\r\n")[0])))
                if self.is_cutting:
                    break
                self.ids += [event["id"] for event in body["events"]]
                writer.write(_OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("requests", [1, 3])
async def test_a_server_that_closes_without_a_word(requests: int) -> None:
    """Nothing fails, and nothing comes twice."""
    endpoint = Hasty(requests)
    store = MemoryWebhookStore()
    async with (
        endpoint.listening() as url,
        delivering(store, make_webhook(url), webhook_batch_size=5) as running,
    ):
        await running.enqueue(make_items(spread(100)))
        await running.until_empty()

        assert {"ok": 20} == running.results()
    assert [item.id for item in make_items(spread(100))] == endpoint.ids


async def test_a_server_that_closes_new_connections() -> None:
    """That is a failure, of one request for each connection."""
    endpoint = Hasty(1000)
    store = MemoryWebhookStore()
    async with endpoint.listening() as url, delivering(store, make_webhook(url)) as running:
        await running.enqueue(make_items([("private-a", 1)]))
        await running.until_empty()
        endpoint.is_cutting = True
        await running.enqueue(make_items([("private-a", 2)]))
        await until(lambda: running.results().get("error", 0) >= 3, expected=True)
        endpoint.is_cutting = False
        await running.until_empty()

        # The first one that failed was tried on the connection that there was, and on a new one.
        assert running.results()["error"] + 2 == endpoint.connections
    assert ["private-a-1", "private-a-2"] == endpoint.ids
