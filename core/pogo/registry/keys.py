"""Keys: what is written where in the registry.

n.{edge}-{incarnation}                          a live edge
p.{app}.{channel}.{edge}-{incarnation}.{socket} one connection's presence on one channel
"""

from pogo.bus.subjects import encode_token

NODES = "n"
"""The topic of the live edges."""


def node_key(node: str) -> str:
    """Name the entry of one live edge."""
    return f"{NODES}.{encode_token(node)}"


def presence_topic(app_id: str, channel: str) -> str:
    """Name the topic of everyone present on one channel."""
    return f"p.{encode_token(app_id)}.{encode_token(channel)}"


def presence_key(app_id: str, channel: str, node: str, socket_id: str) -> str:
    """Name the entry of one connection's presence on one channel."""
    return f"{presence_topic(app_id, channel)}.{encode_token(node)}.{encode_token(socket_id)}"
