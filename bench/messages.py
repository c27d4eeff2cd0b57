"""What the measuring process asks of the others, and what they answer: one JSON text a line."""

import msgspec


class Seat(msgspec.Struct, frozen=True):
    """One connection that is to be present on one channel."""

    socket_id: str
    channel: str
    user_id: str


class Ready(msgspec.Struct, tag=True):
    """Wait until the cluster is settled and has so many edges."""

    edges: int


class Join(msgspec.Struct, tag=True):
    """Have these join, `rate` a second (0: all at once), and wait until all are admitted."""

    seats: list[Seat]
    rate: float = 0


class Leave(msgspec.Struct, tag=True):
    """Have these leave (by socket id), and wait until the registry has confirmed it."""

    socket_ids: list[str]


class Churn(msgspec.Struct, tag=True):
    """Have one after the other leave and somebody else come in their place."""

    rate: float
    """How many join a second; as many leave."""
    seconds: float


class Follow(msgspec.Struct, tag=True):
    """Watch these channels with nobody on them, and trace what that allocates."""

    channels: list[str]


class Own(msgspec.Struct, tag=True):
    """Write so many entries on a channel that is not watched, and trace what that allocates."""

    count: int


class Write(msgspec.Struct, tag=True):
    """Write entries for some seconds, `rate` a second (0: as fast as they are confirmed)."""

    seconds: float
    rate: float
    batch: int


class Sink(msgspec.Struct, tag=True):
    """Have so many connections that take all that comes on a subject and throw it away."""

    connections: int
    subject: str


class Stats(msgspec.Struct, tag=True):
    """Tell the counters."""


Request = Ready | Join | Leave | Churn | Follow | Own | Write | Sink | Stats


class Reply(msgspec.Struct, omit_defaults=True):
    """The answer to every request: what does not apply is empty."""

    joins: int = 0
    leaves: int = 0
    seconds: float = 0
    latencies: list[float] = []
    """Of each join, in seconds."""
    beats_heard: int = 0
    changes_heard: int = 0
    """Changes that came one by one, not in a snapshot."""
    announced: int = 0
    """`member_added` and `member_removed` events."""
    nodes: int = 0
    users: dict[str, int] = {}
    """Users on each channel."""
    entries: int = 0
    traced: int = 0
    """Bytes that Python allocated meanwhile and still holds."""
    received: int = 0
    """Bytes."""
    failed: str = ""
