from pogo.registry.memory import MemoryRegistry
from tests.registry.helpers import Record, delete, put


async def test_nothing_is_left_behind() -> None:
    """Ten thousand entries that came and went leave no trace in the tree."""
    registry = MemoryRegistry()
    watch = await registry.watch("p.app.room", Record())
    for number in range(10_000):
        await put(registry, f"p.app.room{number}.edge.{number}", b"")
    for number in range(10_000):
        await delete(registry, f"p.app.room{number}.edge.{number}")
    watch.stop()

    assert {} == registry._owned  # noqa: SLF001
    assert registry._root.is_empty  # noqa: SLF001 (memory has no public measure)
