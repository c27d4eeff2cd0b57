"""Webhooks: where an app is told what happens on its channels, and how."""

import hashlib
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from pogo.settings.group import Group
from pogo.settings.values import (
    Count,
    Duration,
    HeaderMap,
    HttpUrl,
    Name,
    OptionalHttpUrl,
    TextList,
    split_list,
)

WebhookEvent = Literal[
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
]

ALL_EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
"""Source: Pusher Channels documentation, "Webhooks"."""


class Webhook(BaseModel):
    """One `[[apps.webhooks]]` entry."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: HttpUrl = Field(repr=False)
    """Where events are posted to. It may hold a token, so it is logged nowhere."""

    name: Name = Field(
        default_factory=lambda given: hashlib.sha256(given.get("url", "").encode()).hexdigest()[:12]
    )
    """What logs, metrics and the queue call it; made of the URL when not given. Events that wait
    are lost when it changes."""

    events: tuple[WebhookEvent, ...] = ALL_EVENTS
    """The events that are posted; all when not given."""

    channel_prefixes: TextList = ()
    """Only of channels whose names begin with one of these; of all when not given."""

    headers: HeaderMap = Field(default_factory=dict, repr=False)
    """Headers that are sent with each request beside Pusher's own."""

    _listed = field_validator("events", mode="before")(split_list)

    @field_validator("events")
    @classmethod
    def _some(cls, events: tuple[WebhookEvent, ...]) -> tuple[WebhookEvent, ...]:
        if not events:
            raise ValueError("must not be empty; for all events, leave it out")
        return events


class WebhookSettings(Group):
    """Webhooks: what brokers post to an application about its channels."""

    webhook_url: OptionalHttpUrl = Field(default="", repr=False)
    """Where the events of apps go that name no `webhooks` themselves. Empty: nowhere."""

    webhook_secret: SecretStr = Field(default=SecretStr(""), repr=False)
    """What signs webhooks; empty for the app's own secret."""

    webhook_timeout: Duration = 5.0
    """How long an endpoint may take to answer; then the request has failed."""

    webhook_retry_for: Duration = 300.0
    """For how long events are tried again, from their first attempt. Then they are dropped, and
    counted."""

    webhook_delay: Duration = 3.0
    """How long a channel has to stay empty until `channel_vacated` is sent, and a member away until
    `member_removed` is: whoever comes back by then never left."""

    webhook_batch_size: Count = 100
    """Events of one request."""

    webhook_batch_wait: Duration = 0.05
    """How long an event waits for others to go with it."""

    webhook_queue_size: Count = 100_000
    """Events that may wait for one endpoint. What clients cause beyond that is dropped, and
    counted; what the state of channels tells is told later."""

    webhook_queue_bytes: Count = 268_435_456
    """Bytes that may wait for all endpoints together."""

    webhook_private_addresses: bool = True
    """Whether endpoints may have addresses that are not public (loopback, 10.0.0.0/8 and others).
    Set it to false where those who write `webhooks` should not reach your own network."""
