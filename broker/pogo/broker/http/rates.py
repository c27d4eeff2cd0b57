"""What an app's rates make of its requests: 429, and headers that say how it stands.

All of them are about the broker that answers, which allows its part of the app's rate.
"""

import math
from collections.abc import Mapping

from pogo.broker.http.errors import ApiError
from pogo.broker.http.paths import Endpoint
from pogo.broker.metrics import RateKind
from pogo.broker.rates import AppRates, Refusal
from pogo.settings import App

_PUBLISHING = {Endpoint.EVENTS, Endpoint.BATCH_EVENTS}


class RateLimitedError(ApiError):
    """A request of an app that has reached its rate; nothing was done."""

    def __init__(self, refusal: Refusal) -> None:
        seconds = max(1, math.ceil(refusal.retry_after))
        super().__init__(429, refusal.detail, {"Retry-After": str(seconds)})


def rate_kind(endpoint: Endpoint) -> RateKind:
    """Tell which of an app's rates counts at an end point."""
    return "events" if endpoint in _PUBLISHING else "reads"


def rate_headers(rates: AppRates, app: App, kind: RateKind) -> Mapping[str, str]:
    """Tell how an app stands with a rate; nothing where it has none.

    `X-RateLimit-Limit` is what may come at once, `X-RateLimit-Remaining` what is left of it, and
    `X-RateLimit-Reset` in how many seconds all of it is there again.
    """
    standing = rates.standing(app, kind)
    if standing is None:
        return {}
    return {
        "X-RateLimit-Limit": str(standing.limit),
        "X-RateLimit-Remaining": str(standing.remaining),
        "X-RateLimit-Reset": str(math.ceil(standing.reset)),
    }
