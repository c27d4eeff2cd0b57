"""Which endpoints want to know what: the webhooks of all apps, as edges and brokers use them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pogo.pusher.channels import SERVER_TO_USER
from pogo.settings import App, Webhook, WebhookEvent
from pogo.webhooks.interface import Queue

DEFAULT_ENDPOINT = "default"
"""What the endpoint is called that `webhook_url` names."""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One endpoint, as far as one type of event is concerned."""

    queue: Queue
    prefixes: tuple[str, ...]
    """Only channels whose names begin with one of these; with the empty one all do."""


class Endpoints:
    """The endpoints of all apps. Their apps can be replaced while they are in use.

    Args:
        default_url: Where the events of apps go that name no `webhooks`; empty for nowhere.
    """

    def __init__(self, apps: Iterable[App], default_url: str) -> None:
        self._default: tuple[Webhook, ...] = ()
        if default_url:
            self._default = (Webhook(url=default_url, name=DEFAULT_ENDPOINT),)
        self.replace(apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Take these apps instead."""
        webhooks = {app.id: app.webhooks or self._default for app in apps}
        self._webhooks = {app_id: given for app_id, given in webhooks.items() if given}
        self._by_event: dict[tuple[str, str], list[_Endpoint]] = {}
        for app_id, given in self._webhooks.items():
            for webhook in given:
                endpoint = _Endpoint(
                    Queue(app_id, webhook.name), tuple(webhook.channel_prefixes) or ("",)
                )
                for event in dict.fromkeys(webhook.events):
                    self._by_event.setdefault((app_id, event), []).append(endpoint)

    @property
    def app_ids(self) -> Sequence[str]:
        """The apps that have endpoints, in the order of the settings."""
        return tuple(self._webhooks)

    def of(self, app_id: str) -> tuple[Webhook, ...]:
        """Return the endpoints of an app, `webhook_url` among them."""
        return self._webhooks.get(app_id, ())

    def wants(self, app_id: str, *events: WebhookEvent) -> bool:
        """Whether any endpoint of an app wants one of these events, of whatever channel."""
        return any((app_id, event) in self._by_event for event in events)

    def matching(self, app_id: str, event: WebhookEvent, channel: str) -> tuple[Queue, ...]:
        """Return the queues of the endpoints that want this event of this channel.

        What a back end sends to one user is no channel to anybody else, so there are none.
        """
        endpoints = self._by_event.get((app_id, event))
        if endpoints is None or channel.startswith(SERVER_TO_USER):
            return ()
        return tuple(
            endpoint.queue for endpoint in endpoints if channel.startswith(endpoint.prefixes)
        )
