"""The order desk: logging in, publishing orders, and waiting until they are seen."""

import time
from collections.abc import Callable

from tests.documents import documented, exchange
from tests.e2e.window import Window
from tests.stack.stack import Stack

PATIENCE = 60.0
_LOOK_AGAIN = 0.2


def wait_until(what: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: It has not come to that within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(_LOOK_AGAIN)


def log_in_at(window: Window, user: str) -> None:
    """Log a user in, and wait until the page is connected and has joined the desk."""
    window.fill("#name", user)
    window.fill("#password", f"{user}-at-the-desk")
    window.click("button")
    window.wait_for("#connection[data-state=connected]")
    window.wait_for(f"#members .me:text-is('{user}')")


def wait_to_show(window: Window, item: str) -> None:
    """Wait until a window shows an order for that item."""
    window.wait_for(f"#orders li:has(strong:text-is('{item}'))")


def publish_by_python(stack: Stack, item: str) -> None:
    """Order an item with the command of docs/compose.md."""
    publish = exchange(documented("docs/compose.md", "Try it", "sh", 1), {"Tea": item})
    assert "ok\n" == stack.type(publish)


def publish_by_http(stack: Stack, item: str) -> None:
    """Order an item with the program of docs/compose.md, by Pusher's SDK for Python."""
    environment = stack.environment("broker")
    app_id, key, secret = (environment[f"POGO_APP_{name}"] for name in ("ID", "KEY", "SECRET"))
    text = exchange(
        documented("docs/compose.md", "Try it", "python"),
        {
            '"1001"': repr(app_id),
            '"desk"': repr(key),
            '"insecure-development-secret"': repr(secret),
            '"localhost"': '"127.0.0.1"',
            "8080": str(stack.port),
            "Cocoa": item,
        },
    )
    exec(compile(text, "docs/compose.md", "exec"), {})  # noqa: S102 (our page)
