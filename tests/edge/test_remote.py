import pytest

from pogo.edge import remote
from pogo.edge.remote import HandshakeRate


def test_addresses_are_apart() -> None:
    """One address that connects too often does not spend another's rate."""
    rate = HandshakeRate(1, 1)

    assert rate.allows("a", 10)
    assert not rate.allows("a", 10.5)
    assert rate.allows("b", 10.5)
    assert rate.allows("a", 11)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was quiet longest is forgotten first."""
    monkeypatch.setattr(remote, "_MAX_ADDRESSES", 2)
    rate = HandshakeRate(0.001, 1)
    for address in ("a", "b", "c"):
        assert rate.allows(address, 10)

    assert not rate.allows("c", 10)
    assert not rate.allows("b", 10)
    assert rate.allows("a", 10)
