from pogo.registry.memory import MemoryRegistry
from tests.registry.helpers import Record


async def test_nothing_is_left_behind() -> None:
    """Ten thousand entries that came and went leave no trace in the tree."""
    registry = MemoryRegistry()
    watch = await registry.watch("p.app.room", Record())
    for number in range(10_000):
        await registry.put(f"p.app.room{number}.edge.{number}", b"")
    for number in range(10_000):
        await registry.delete(f"p.app.room{number}.edge.{number}")
    watch.stop()

    assert registry._root.is_empty  # noqa: SLF001 (memory has no public measure)
