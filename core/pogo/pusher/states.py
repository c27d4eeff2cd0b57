"""The states of a connection and of its subscriptions, and every way from one to another.

Rule 1: what affects a transition lives in the two tables here, and nothing else changes a state.
Rule 2: this file does not know what the messages look like, nor who sends them.

Theory of operation
-------------------

A **connection** is CONNECTING until the server has sent `pusher:connection_established`, OPEN
while messages are exchanged, and CLOSED from the moment that either side ends it. The server may
refuse a connection that it never established.

A **subscription** to one channel is ABSENT until the client asks for it. It is ASKED while the
application is asked on the client's behalf, which sent no signature. It is PENDING while the
server sees to it that nothing published from now on is missed (the bus has the subscription; on
presence channels, the registry has the member): no event of the channel is delivered yet. It is
ACTIVE once the client has been told `subscription_succeeded`. A client library that reconnects in
a hurry may ask twice; both times get the same answer.
"""

import enum


class ConnectionState(enum.Enum):
    """Where a connection is in its life."""

    CONNECTING = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class ConnectionAction(enum.Enum):
    """What happens to a connection."""

    ESTABLISH = enum.auto()
    CLOSE = enum.auto()


class SubscriptionState(enum.Enum):
    """Where a subscription is in its life."""

    ABSENT = enum.auto()
    ASKED = enum.auto()
    PENDING = enum.auto()
    ACTIVE = enum.auto()


class SubscriptionAction(enum.Enum):
    """What happens to a subscription."""

    ASK = enum.auto()
    REQUEST = enum.auto()
    CONFIRM = enum.auto()
    REFUSE = enum.auto()
    CANCEL = enum.auto()


CONNECTION_TRANSITIONS = {
    (ConnectionState.CONNECTING, ConnectionAction.ESTABLISH): ConnectionState.OPEN,
    (ConnectionState.CONNECTING, ConnectionAction.CLOSE): ConnectionState.CLOSED,
    (ConnectionState.OPEN, ConnectionAction.CLOSE): ConnectionState.CLOSED,
    (ConnectionState.CLOSED, ConnectionAction.CLOSE): ConnectionState.CLOSED,
}

SUBSCRIPTION_TRANSITIONS = {
    (SubscriptionState.ABSENT, SubscriptionAction.ASK): SubscriptionState.ASKED,
    (SubscriptionState.ABSENT, SubscriptionAction.REQUEST): SubscriptionState.PENDING,
    (SubscriptionState.ASKED, SubscriptionAction.ASK): SubscriptionState.ASKED,
    (SubscriptionState.ASKED, SubscriptionAction.REQUEST): SubscriptionState.PENDING,
    (SubscriptionState.ASKED, SubscriptionAction.REFUSE): SubscriptionState.ABSENT,
    (SubscriptionState.ASKED, SubscriptionAction.CANCEL): SubscriptionState.ABSENT,
    (SubscriptionState.PENDING, SubscriptionAction.REQUEST): SubscriptionState.PENDING,
    (SubscriptionState.PENDING, SubscriptionAction.CONFIRM): SubscriptionState.ACTIVE,
    (SubscriptionState.PENDING, SubscriptionAction.REFUSE): SubscriptionState.ABSENT,
    (SubscriptionState.PENDING, SubscriptionAction.CANCEL): SubscriptionState.ABSENT,
    (SubscriptionState.ACTIVE, SubscriptionAction.REQUEST): SubscriptionState.ACTIVE,
    (SubscriptionState.ACTIVE, SubscriptionAction.CONFIRM): SubscriptionState.ACTIVE,
    (SubscriptionState.ACTIVE, SubscriptionAction.CANCEL): SubscriptionState.ABSENT,
}


class IllegalTransitionError(RuntimeError):
    """The caller did what the state does not allow: a mistake in the server, not in the client."""


def next_connection_state(state: ConnectionState, action: ConnectionAction) -> ConnectionState:
    """Look a transition up.

    Raises:
        IllegalTransitionError: There is none.
    """
    try:
        return CONNECTION_TRANSITIONS[state, action]
    except KeyError:
        raise IllegalTransitionError(f"cannot {action.name} when {state.name}") from None


def next_subscription_state(
    state: SubscriptionState, action: SubscriptionAction
) -> SubscriptionState:
    """Look a transition up.

    Raises:
        IllegalTransitionError: There is none.
    """
    try:
        return SUBSCRIPTION_TRANSITIONS[state, action]
    except KeyError:
        raise IllegalTransitionError(f"cannot {action.name} when {state.name}") from None
