"""The application's end point for webhooks, in a thread beside tests that have no event loop."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.webhook_receiver import WITHIN, Received, WebhookReceiver

_Result = TypeVar("_Result")


class Hooks:
    """What was posted to the end point."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._receiver = WebhookReceiver()

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return self._receiver.url

    def up(self) -> None:
        """Listen."""
        self._do(self._receiver.up())

    def down(self) -> None:
        """Stop listening."""
        self._do(self._receiver.down())

    def take(self, **fields: object) -> tuple[Received, dict[str, Any]]:
        """Wait for an event with these fields; returns the request that it came with, too.

        Raises:
            TimeoutError: It did not come.
        """
        self._do(self._receiver.until(lambda: self._find(fields) is not None))
        found = self._find(fields)
        assert found is not None
        return found

    def _find(self, fields: dict[str, object]) -> tuple[Received, dict[str, Any]] | None:
        for request in self._receiver.requests:
            for event in request.events:
                if fields.items() <= event.items():
                    return request, event
        return None

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        # The receiver gives up first, unless its thread has ended.
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * WITHIN)


@contextmanager
def running_hooks() -> Iterator[Hooks]:
    """Run the end point."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        hooks = Hooks(loop)
        hooks.up()
        try:
            yield hooks
        finally:
            hooks.down()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
