from itertools import product

import pytest

from pogo.pusher.states import (
    CONNECTION_TRANSITIONS,
    SUBSCRIPTION_TRANSITIONS,
    ConnectionAction,
    ConnectionState,
    IllegalTransitionError,
    SubscriptionAction,
    SubscriptionState,
    next_connection_state,
    next_subscription_state,
)


@pytest.mark.parametrize(("state", "action"), [*product(ConnectionState, ConnectionAction)])
def test_connections(state: ConnectionState, action: ConnectionAction) -> None:
    """What the table does not know is the server's mistake."""
    after = CONNECTION_TRANSITIONS.get((state, action))
    if after is None:
        with pytest.raises(IllegalTransitionError, match=action.name):
            next_connection_state(state, action)
    else:
        assert after is next_connection_state(state, action)


@pytest.mark.parametrize(("state", "action"), [*product(SubscriptionState, SubscriptionAction)])
def test_subscriptions(state: SubscriptionState, action: SubscriptionAction) -> None:
    """What the table does not know is the server's mistake."""
    after = SUBSCRIPTION_TRANSITIONS.get((state, action))
    if after is None:
        with pytest.raises(IllegalTransitionError, match=action.name):
            next_subscription_state(state, action)
    else:
        assert after is next_subscription_state(state, action)


def test_closed_is_the_end() -> None:
    """No way leads out of CLOSED."""
    ends = {after for (state, _), after in CONNECTION_TRANSITIONS.items() if state.name == "CLOSED"}

    assert {ConnectionState.CLOSED} == ends
