"""One application: what the browsers and the back ends of one product share."""

from collections import Counter

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pogo.settings.values import Name, Rate, Secret, TextList
from pogo.settings.webhooks import Webhook


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

    event_rate: Rate = -1.0
    """Events per second that back ends may publish, each counted once for every channel: of all
    brokers together, which share it out. Negative is unlimited."""

    read_rate: Rate = -1.0
    """Questions per second that back ends may ask the HTTP API, counted alike."""

    total_client_event_rate: Rate = -1.0
    """`client-` events per second of all clients together, shared out over the live edges."""

    webhooks: tuple[Webhook, ...] = ()
    """Where it is told what happens on its channels, each an `[[apps.webhooks]]` table."""

    @field_validator("webhooks")
    @classmethod
    def _distinct(cls, webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
        for name, count in Counter(webhook.name for webhook in webhooks).items():
            if count > 1:
                raise ValueError(f"{count} webhooks have the name {name!r}")
        return webhooks
