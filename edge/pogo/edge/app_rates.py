"""How many client events the clients of an app may send in a second, all of them together.

What an app is allowed is shared out: each of the live edges allows its part, so that none has to
ask another. The whole is allowed where clients are spread evenly, as a load balancer does.
"""

from pogo.cluster import LiveNodes
from pogo.edge.apps import EdgeApp
from pogo.edge.metrics import EdgeMetrics
from pogo.pusher.errors import ClientEventRateError
from pogo.pusher.rates import share


class AppRates:
    """Holds apps to their `total_client_event_rate` on one edge."""

    def __init__(self, edges: LiveNodes, metrics: EdgeMetrics) -> None:
        self._edges = edges
        self._metrics = metrics

    def take(self, app: EdgeApp, now: float) -> None:
        """Let one client event of an app that has a rate pass.

        Raises:
            ClientEventRateError: The app has reached its rate.
        """
        limit = share(app.total_client_event_rate, self._edges.sharing)
        busy_until = limit.take(app.client_events_until, now)
        if busy_until is None:
            self._metrics.client_events_limited.inc()
            raise ClientEventRateError("the app's clients send too many client events: slow down")
        app.client_events_until = busy_until
