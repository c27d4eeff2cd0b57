"""Keys: what is written where in the registry.

A key has five tokens, `{kind}.{scope}.{name}.{owner}.{item}`, and the first three are its topic:

n.-.{role}.{node}.-                  a live node: an edge or a broker
p.{app}.{channel}.{node}.{socket}    one connection's presence on one channel
c.{app}.{channel}.{node}.-           how many subscribers a channel has on one edge
u.{app}.{user}.{node}.-              a user who is signed in on one edge
"""

from dataclasses import dataclass

from pogo.bus.subjects import encode_token

NODES = "n"
"""The topic of all live nodes, whatever their role."""

TOPIC_TOKENS = 3
"""The most tokens that a topic has; one with fewer is everything below it."""

NOTHING = "-"
"""Stands where a key has nothing to say."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, taken apart. Its parts are encoded tokens, as they stand in it."""

    topic: str
    owner: str
    item: str

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Take a key apart.

        Raises:
            ValueError: It has not five tokens.
        """
        kind, scope, name, owner, item = text.split(".")
        return cls(f"{kind}.{scope}.{name}", owner, item)

    def __str__(self) -> str:
        return f"{self.topic}.{self.owner}.{self.item}"


def check_topic(name: str) -> None:
    """Accept the name of a topic.

    Raises:
        ValueError: It has no tokens, or more than a topic has.
    """
    if not name or len(name.split(".")) > TOPIC_TOKENS:
        raise ValueError(f"a topic has one to {TOPIC_TOKENS} tokens: {name!r}")


def nodes_topic(role: str) -> str:
    """Name the topic of the live nodes of one role."""
    return f"{NODES}.{NOTHING}.{role}"


def presence_topic(app_id: str, channel: str) -> str:
    """Name the topic of everyone present on one channel."""
    return f"p.{encode_token(app_id)}.{encode_token(channel)}"


def counts_topic(app_id: str, channel: str) -> str:
    """Name the topic of one channel's subscribers, counted per edge."""
    return f"c.{encode_token(app_id)}.{encode_token(channel)}"


def app_presence_topic(app_id: str) -> str:
    """Name the topic of everyone present on any channel of an app."""
    return f"p.{encode_token(app_id)}"


def app_counts_topic(app_id: str) -> str:
    """Name the topic of the subscribers of all channels of an app."""
    return f"c.{encode_token(app_id)}"


def user_topic(app_id: str, user_id: str) -> str:
    """Name the topic of the edges where one user is signed in."""
    return f"u.{encode_token(app_id)}.{encode_token(user_id)}"
