"""The scenarios: each a module with a coroutine that measures, and adds rows to its report."""

from collections.abc import Callable, Coroutine
from typing import Any

from bench.delivery.context import Context
from bench.publish.scenarios import bus, publish

SCENARIOS: dict[str, tuple[str, Callable[[Context], Coroutine[Any, Any, None]]]] = {
    "publish": (publish.TITLE, publish.run),
    "bus": (bus.TITLE, bus.run),
}
