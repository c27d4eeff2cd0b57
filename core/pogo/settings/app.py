"""One application: what the browsers and the back ends of one product share."""

from pydantic import BaseModel, ConfigDict, Field

from pogo.settings.values import Name, Secret, TextList


class App(BaseModel):
    """One `[[apps]]` entry."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: Name
    """What back ends publish to."""

    key: Name = Field(default_factory=lambda given: given["id"])
    """What browsers connect with; public. The id when not given."""

    secret: Secret = Field(repr=False)
    """What signs channels and publishers; at least 16 random characters are advised."""

    previous_secret: Secret | None = Field(default=None, repr=False)
    """A second secret that is accepted too, so that `secret` can be rotated without a pause."""

    enabled: bool = True
    """Whether anyone may connect; if not, clients are closed with 4003."""

    client_events: bool = True
    """Whether clients may send `client-` events on private and presence channels."""

    subscription_count: bool = False
    """Whether clients are told how many subscribers a channel has (not on presence channels): at
    once up to 100, and then every 5 seconds."""

    watchlist: bool = False
    """Whether signed-in users are told who of their `watchlist` is online. Each sign-in then writes
    to the registry."""

    allowed_origins: TextList | None = None
    """Origins that may connect; the server's `allowed_origins` when not given."""

    max_connections: int = Field(default=0, ge=0)
    """Connections to this app on one edge; 0 leaves only the server's `max_connections`."""
