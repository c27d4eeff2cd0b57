"""What the settings allow a connection, in the terms of those who see to it."""

from pogo.edge.framing import ConnectionLimits
from pogo.pusher.policy import Limits
from pogo.pusher.rates import RateLimit
from pogo.settings import Settings


def protocol_limits(settings: Settings) -> Limits:
    """Say what a client may send and subscribe to."""
    burst = max(1, int(settings.client_event_rate))
    return Limits(
        messages=RateLimit(settings.message_rate, settings.message_burst),
        client_events=RateLimit(settings.client_event_rate, burst),
        # At least a second: pusher-js takes 0 for a missing value.
        activity_timeout=max(1, int(settings.ping_period)),
        max_subscriptions=settings.max_subscriptions,
        max_channel_length=settings.max_channel_length,
        max_event_length=settings.max_event_length,
        max_presence_data=settings.max_presence_data,
        asks_application=settings.subscribe_without_auth,
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Say what a connection may cost."""
    return ConnectionLimits(
        max_write_buffer=settings.max_write_buffer,
        drop_when_slow=settings.slow_consumer == "drop",
        ping_period=settings.ping_period,
        pong_wait=settings.pong_wait,
        write_wait=settings.write_wait,
    )
