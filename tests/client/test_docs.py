import asyncio
import re
from pathlib import Path

import pytest

from tests.broker.helpers import OTHER, listen, memory_bus, running_broker

PAGE = Path(__file__).parents[2] / "docs" / "publishing.md"
SNIPPETS = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def run(snippet: str) -> None:
    """Run a snippet as a program of its own."""
    exec(compile(snippet, str(PAGE), "exec"), {"__name__": "__main__"})  # noqa: S102 (our page)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
async def test_every_snippet_publishes(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page shows works as it stands, given the three variables."""
    async with memory_bus() as bus, running_broker(bus) as broker:
        heard = [listen(bus, channel, OTHER) for channel in ("news", "cache-prices")]
        monkeypatch.setenv("POGO_BROKER", f"127.0.0.1:{broker.server.grpc_port}")
        monkeypatch.setenv("POGO_APP_ID", OTHER.id)
        monkeypatch.setenv("POGO_APP_SECRET", OTHER.secret.get_secret_value())
        await asyncio.to_thread(run, SNIPPETS[number])

    assert any(heard)
