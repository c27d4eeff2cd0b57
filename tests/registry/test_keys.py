import pytest

from pogo.registry import keys


def test_topics_of_channels() -> None:
    """Whatever the names of app and channel hold, a topic has three tokens."""
    assert "p.app=2E1.presence-a=2Eb" == keys.presence_topic("app.1", "presence-a.b")
    assert "c.app=2E1.a=2A" == keys.counts_topic("app.1", "a*")
    assert "u.app.=3E" == keys.user_topic("app", ">")


def test_nodes_are_under_their_topic() -> None:
    """Whoever watches the nodes sees those of every role."""
    assert keys.nodes_topic("edge").startswith(f"{keys.NODES}.")


def test_key_has_five_tokens() -> None:
    """A key is put together and taken apart again; anything else is none."""
    key = keys.Key("p.app.room", "edge-1", "12=2E34")

    assert "p.app.room.edge-1.12=2E34" == str(key)
    assert key == keys.Key.parse(str(key))
    with pytest.raises(ValueError, match="5"):
        keys.Key.parse("p.app.room.edge-1")
