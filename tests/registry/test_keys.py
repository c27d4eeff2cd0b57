from pogo.registry import keys


def test_presence_key_is_under_its_topic() -> None:
    """Whoever watches a channel sees its entries, whatever the names hold."""
    topic = keys.presence_topic("app.1", "presence-a.b")

    assert topic == "p.app=2E1.presence-a=2Eb"
    assert keys.presence_key("app.1", "presence-a.b", "edge-1", "12.34") == (
        f"{topic}.edge-1.12=2E34"
    )


def test_node_key_is_under_its_topic() -> None:
    """Whoever watches the nodes sees each of them."""
    assert keys.node_key("edge.1-x") == f"{keys.NODES}.edge=2E1-x"
