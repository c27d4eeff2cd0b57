"""The server's side of the conversation with one client, without any I/O.

Whoever owns a `PusherProtocol` sends what `establish()` returns, passes every text message to
`receive()`, and then owes what the returned event says:

- `Reply`: send `message`.
- `SubscriptionRequested`: see to it that the channel's events will arrive, then call `confirm()`
  and send what it returns, or `refuse()` and report why. No event of the channel is sent before.
- `AuthorizationNeeded`, `AuthenticationNeeded`: ask the application for a signature, then call
  `authorized()` or `authenticated()`, and do what the returned event says; where it gives none,
  call `denied()` or `signin_denied()`. They come only where `Limits.asks_application` is set.
- `SubscriptionCancelled`: send no more of the channel's events.
- `SignedIn`: send `message`, report `excess` if there is any, and see to the user.
- `ClientEventReceived`: pass `message` to the channel's other subscribers.
- `None`: nothing.

Where `receive()` raises a `ProtocolError`, send `error_messages()`; where it raises a
`CloseError`, send them too, and close the connection with its code.
"""

from collections.abc import Iterable, Sequence

from pogo.pusher import frames
from pogo.pusher.channels import (
    MAX_CHANNEL_NAME,
    SERVER_TO_USER,
    ChannelKind,
    ChannelNameError,
    channel_kind,
    check_channel_name,
)
from pogo.pusher.commands import (
    ClientEvent,
    Command,
    Ping,
    Pong,
    Signin,
    Subscribe,
    Unsubscribe,
    parse_command,
)
from pogo.pusher.errors import (
    ClientEventError,
    ClientEventRateError,
    InvalidChannelError,
    InvalidMessageError,
    OverCapacityError,
    PusherError,
    SigninError,
    SubscriptionError,
    SubscriptionLimitError,
    UnauthorizedSubscriptionError,
    WatchlistLimitError,
)
from pogo.pusher.events import (
    AuthenticationNeeded,
    AuthorizationNeeded,
    ClientEventReceived,
    Event,
    Reply,
    SignedIn,
    SubscriptionCancelled,
    SubscriptionRequested,
)
from pogo.pusher.members import MAX_WATCHLIST, Member, User, parse_channel_data, parse_user_data
from pogo.pusher.policy import AppPolicy, Limits
from pogo.pusher.signatures import verify_channel, verify_user
from pogo.pusher.states import (
    ConnectionAction,
    ConnectionState,
    SubscriptionAction,
    SubscriptionState,
    next_connection_state,
    next_subscription_state,
)


class PusherProtocol:
    """One client's conversation. Times are seconds of any one monotonic clock."""

    __slots__ = (
        "_events_busy_until",
        "_limits",
        "_messages_busy_until",
        "_subscriptions",
        "app",
        "socket_id",
        "state",
        "user",
    )

    def __init__(self, app: AppPolicy, limits: Limits, socket_id: str) -> None:
        # May be replaced: what counts is what the app allows now.
        self.app = app
        self._limits = limits
        self.socket_id = socket_id
        self.state = ConnectionState.CONNECTING
        # Who the connection signed in as.
        self.user: User | None = None
        # By channel: the member of this connection once it is active on a presence channel.
        self._subscriptions: dict[str, _Subscription] = {}
        self._messages_busy_until = 0.0
        self._events_busy_until = 0.0

    @property
    def channels(self) -> Iterable[str]:
        """The channels that the client is subscribed to, or about to be."""
        return (
            channel
            for channel, subscription in self._subscriptions.items()
            if subscription.state is not SubscriptionState.ASKED
        )

    def establish(self) -> bytes:
        """Open the connection; returns `pusher:connection_established`."""
        self.state = next_connection_state(self.state, ConnectionAction.ESTABLISH)
        return frames.connection_established(self.socket_id, self._limits.activity_timeout)

    def close(self) -> None:
        """End the connection: nothing is received any more. Idempotent."""
        self.state = next_connection_state(self.state, ConnectionAction.CLOSE)

    def receive(self, message: bytes, now: float) -> Event | None:
        """Take one text message and tell what it amounts to.

        Raises:
            ProtocolError: The client asked for something it cannot have.
            CloseError: The connection is to be closed.
        """
        if self.state is not ConnectionState.OPEN:
            return None
        self.charge(now)
        return self._handle(parse_command(message), now)

    def charge(self, now: float) -> None:
        """Count something that the client has sent and `receive()` does not get: a ping, say.

        Raises:
            OverCapacityError: It sends too much; the connection is to be closed.
        """
        busy_until = self._limits.messages.take(self._messages_busy_until, now)
        if busy_until is None:
            raise OverCapacityError("too many messages: slow down")
        self._messages_busy_until = busy_until

    def confirm(self, channel: str, data: str = "{}") -> bytes:
        """Begin to deliver; returns `pusher_internal:subscription_succeeded`.

        `data` is the roster (`frames.presence_data`) on presence channels.
        """
        self._advance(channel, SubscriptionAction.CONFIRM)
        return frames.subscription_succeeded(channel, data)

    def refuse(self, channel: str) -> None:
        """Forget a subscription that cannot be had after all."""
        self._advance(channel, SubscriptionAction.REFUSE)

    def authorized(
        self, channel: str, auth: str, channel_data: str | None
    ) -> SubscriptionRequested | None:
        """Take the application's signature for a subscription; `None` if it has become idle.

        Raises:
            SubscriptionError: It does not let the client in.
        """
        if self._state(channel) is not SubscriptionState.ASKED:
            return None
        kind = channel_kind(channel)
        try:
            # Asked for on the client's behalf, and believed no more than the client would be.
            member = self._authorize(Subscribe(channel, auth, channel_data), kind)
        except SubscriptionError:
            self._advance(channel, SubscriptionAction.REFUSE)
            raise
        return self._request(channel, kind, member)

    def denied(self, channel: str, message: str) -> None:
        """Take that the application gives no signature for a subscription.

        Raises:
            UnauthorizedSubscriptionError: With the message, unless it has become idle.
        """
        if self._state(channel) is SubscriptionState.ASKED:
            self._advance(channel, SubscriptionAction.REFUSE)
            raise UnauthorizedSubscriptionError(channel, message)

    def authenticated(self, auth: str, user_data: str) -> SignedIn | Reply:
        """Take the application's signature for the client's user.

        Raises:
            SigninError: It does not sign the client in.
        """
        return self._verified(Signin(auth, user_data))

    def signin_denied(self, message: str) -> None:
        """Take that the application gives no signature for a user.

        Raises:
            SigninError: With the message.
        """
        raise SigninError(message)

    def _handle(self, command: Command, now: float) -> Event | None:
        match command:
            case Ping():
                return Reply(frames.PONG)
            case Pong():
                return None
            case Subscribe():
                return self._subscribe(command)
            case Unsubscribe():
                return self._unsubscribe(command)
            case ClientEvent():
                return self._client_event(command, now)
        return self._signin(command)

    def _subscribe(self, command: Subscribe) -> SubscriptionRequested | AuthorizationNeeded:
        channel = command.channel
        self._check_subscription_limits(channel)
        kind = channel_kind(channel)
        if self._is_to_be_asked(command, kind):
            if self._state(channel) in (SubscriptionState.ABSENT, SubscriptionState.ASKED):
                self._advance(channel, SubscriptionAction.ASK)
                return AuthorizationNeeded(channel)
            # It has been let in already.
            return self._request(channel, kind, None)
        return self._request(channel, kind, self._authorize(command, kind))

    def _is_to_be_asked(self, command: Subscribe, kind: ChannelKind) -> bool:
        """Whether the application is asked; an encrypted channel's key must reach its client."""
        if command.auth or not self._limits.asks_application:
            return False
        return kind.needs_auth and not kind.is_encrypted

    def _request(
        self, channel: str, kind: ChannelKind, member: Member | None
    ) -> SubscriptionRequested:
        self._advance(channel, SubscriptionAction.REQUEST)
        subscription = self._subscriptions[channel]
        # Whoever asks again stays who they were: the cluster knows this connection's member.
        subscription.member = subscription.member or member
        return SubscriptionRequested(channel, kind, subscription.member)

    def _check_subscription_limits(self, channel: str) -> None:
        try:
            check_channel_name(channel, self._limits.max_channel_length)
        except ChannelNameError as error:
            raise InvalidChannelError(channel, str(error)) from None
        limit = self._limits.max_subscriptions
        if len(self._subscriptions) >= limit and channel not in self._subscriptions:
            raise SubscriptionLimitError(channel, f"a connection has at most {limit} subscriptions")

    def _authorize(self, command: Subscribe, kind: ChannelKind) -> Member | None:
        """Check that the client may subscribe; returns the member of a presence channel."""
        channel = command.channel
        if kind is ChannelKind.SERVER_TO_USER:
            if self.user is None or channel.removeprefix(SERVER_TO_USER) != self.user.id:
                message = f"{channel} is for the connections of its signed-in user only"
                raise UnauthorizedSubscriptionError(channel, message)
            return None
        if not kind.needs_auth:
            return None
        # Whatever was sent was signed; on other channels than presence it means nothing here.
        channel_data = command.channel_data or None
        if not verify_channel(
            command.auth or "",
            key=self.app.key,
            secrets=self.app.secrets,
            socket_id=self.socket_id,
            channel=channel,
            channel_data=channel_data,
        ):
            raise UnauthorizedSubscriptionError(channel, f"the signature for {channel} is invalid")
        return self._member(channel, channel_data) if kind.is_presence else None

    def _member(self, channel: str, channel_data: str | None) -> Member:
        """Tell who the client is on a presence channel: `channel_data`, else its signed-in user."""
        if channel_data is None:
            if self.user is None:
                message = f"{channel} needs channel_data, or a signed-in user"
                raise UnauthorizedSubscriptionError(channel, message)
            member, size = self.user.as_member(), memoryview(self.user.user_info).nbytes
        else:
            try:
                member, size = parse_channel_data(channel_data), len(channel_data.encode())
            except ValueError as error:
                raise UnauthorizedSubscriptionError(channel, str(error)) from None
        limit = self._limits.max_presence_data
        if size > limit:
            raise SubscriptionLimitError(channel, f"a member has at most {limit} bytes of data")
        return member

    def _unsubscribe(self, command: Unsubscribe) -> SubscriptionCancelled | None:
        channel = command.channel
        state = self._state(channel)
        if state is SubscriptionState.ABSENT:
            raise InvalidMessageError(f"there is no subscription to {channel[:MAX_CHANNEL_NAME]}")
        self._advance(channel, SubscriptionAction.CANCEL)
        # Nobody else knows yet of one that the application is still asked about.
        return None if state is SubscriptionState.ASKED else SubscriptionCancelled(channel)

    def _client_event(self, command: ClientEvent, now: float) -> ClientEventReceived:
        channel = command.channel
        if not self.app.client_events:
            raise ClientEventError("client events are switched off for this app")
        if not channel_kind(channel).allows_client_events:
            raise ClientEventError(
                "client events are for private and presence channels that are not encrypted"
            )
        if self._state(channel) is not SubscriptionState.ACTIVE:
            raise ClientEventError("a client event needs a subscription to its channel")
        limit = self._limits.max_event_length
        if len(command.event) > limit:
            raise ClientEventError(f"an event name has at most {limit} characters")
        busy_until = self._limits.client_events.take(self._events_busy_until, now)
        if busy_until is None:
            raise ClientEventRateError("too many client events: slow down")
        self._events_busy_until = busy_until
        member = self._subscriptions[channel].member
        user_id = None if member is None else member.user_id
        message = frames.encode_client_event(command.event, channel, command.data, user_id)
        return ClientEventReceived(channel, message)

    def _signin(self, command: Signin) -> SignedIn | Reply | AuthenticationNeeded:
        if not command.auth and self._limits.asks_application:
            return AuthenticationNeeded()
        return self._verified(command)

    def _verified(self, command: Signin) -> SignedIn | Reply:
        if not verify_user(
            command.auth,
            key=self.app.key,
            secrets=self.app.secrets,
            socket_id=self.socket_id,
            user_data=command.user_data,
        ):
            raise SigninError("the signature of the sign-in is invalid")
        try:
            user = parse_user_data(command.user_data)
        except ValueError as error:
            raise SigninError(str(error)) from None
        if self.user is not None and self.user.id != user.id:
            raise SigninError("the connection is signed in as another user")
        message = frames.signin_success(command.user_data)
        if self.user is not None:
            # Whoever asks again stays who they were.
            return Reply(message)
        self.user = user
        watchlist = tuple(dict.fromkeys(user.watchlist))
        excess = None
        if len(watchlist) > MAX_WATCHLIST:
            excess = WatchlistLimitError(f"a watchlist has at most {MAX_WATCHLIST} users")
        return SignedIn(message, user, watchlist[:MAX_WATCHLIST], excess)

    def _state(self, channel: str) -> SubscriptionState:
        subscription = self._subscriptions.get(channel)
        return SubscriptionState.ABSENT if subscription is None else subscription.state

    def _advance(self, channel: str, action: SubscriptionAction) -> None:
        state = next_subscription_state(self._state(channel), action)
        if state is SubscriptionState.ABSENT:
            del self._subscriptions[channel]
        else:
            self._subscriptions.setdefault(channel, _Subscription()).state = state


class _Subscription:
    """One subscription of one connection."""

    __slots__ = ("member", "state")

    def __init__(self) -> None:
        self.state = SubscriptionState.ABSENT
        self.member: Member | None = None


def error_messages(reason: PusherError) -> Sequence[bytes]:
    """Write what the client is told of an error, in order."""
    if isinstance(reason, SubscriptionError):
        return [frames.error(reason), frames.subscription_error(reason)]
    return [frames.error(reason)]
