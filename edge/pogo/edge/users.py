"""Who is signed in on this edge, and who of the users they watch is online anywhere.

Source: Pusher Channels documentation, "User authentication" and "Watchlist events". A user is
online while one of their connections is signed in on any edge.
"""

from collections.abc import Sequence

from pogo.edge.connection import Connection
from pogo.edge.follower import Follower
from pogo.edge.registry_writer import RegistryWriter
from pogo.pusher import frames
from pogo.pusher.errors import TerminatedError
from pogo.pusher.events import SignedIn
from pogo.pusher.members import User
from pogo.registry import Entry
from pogo.registry.keys import NOTHING, user_topic

UserKey = tuple[str, str]
"""The ids of an app and of one of its users."""


class Users:
    """The connections of each signed-in user, and who watches whom."""

    def __init__(self, writer: RegistryWriter, follower: Follower) -> None:
        self._writer = writer
        self._follower = follower
        self._connections: dict[UserKey, dict[Connection, None]] = {}
        self._watched: dict[UserKey, WatchedUser] = {}
        self._watchlists: dict[Connection, _Watchlist] = {}

    def signed_in(self, connection: Connection, event: SignedIn) -> None:
        """Count a connection to its user, and begin to watch whom the user watches."""
        key = connection.app.id, event.user.id
        connections = self._connections.setdefault(key, {})
        if not connections and connection.app.has_watchlists:
            self._writer.put(user_topic(*key), NOTHING, b"")
        connections[connection] = None
        if event.watchlist and connection.app.has_watchlists:
            self._watch(connection, event.watchlist)

    def gone(self, connection: Connection, user: User, linger: float) -> None:
        """Forget a connection; its user goes offline with the last one, after `linger` seconds."""
        self._unwatch(connection)
        key = connection.app.id, user.id
        connections = self._connections.get(key, {})
        if connections.pop(connection, connection) is connection:
            # It closed while it was being told that it is signed in.
            return
        if not connections:
            del self._connections[key]
            self._writer.delete(user_topic(*key), NOTHING, linger)

    def ids(self, app_id: str) -> list[str]:
        """Tell who is signed in here."""
        return [user_id for app, user_id in self._connections if app == app_id]

    def terminate(self, app_id: str, user_id: str) -> int:
        """Close all connections of a user; returns how many there were."""
        connections = list(self._connections.get((app_id, user_id), ()))
        for connection in connections:
            connection.close(TerminatedError("the application ended this user's connections"))
        return len(connections)

    def _watch(self, connection: Connection, user_ids: Sequence[str]) -> None:
        watched = [self._watched_user((connection.app.id, user_id)) for user_id in user_ids]
        watchlist = self._watchlists[connection] = _Watchlist(connection, watched)
        for user in watched:
            user.watchlists[watchlist] = None
        watchlist.begin_if_known()

    def _watched_user(self, key: UserKey) -> "WatchedUser":
        user = self._watched.get(key)
        if user is None:
            user = self._watched[key] = WatchedUser(key)
            self._follower.follow(user_topic(*key), user)
        return user

    def _unwatch(self, connection: Connection) -> None:
        watchlist = self._watchlists.pop(connection, None)
        if watchlist is None:
            return
        for user in watchlist.users:
            del user.watchlists[watchlist]
            if not user.watchlists:
                del self._watched[user.key]
                self._follower.unfollow(user)


class WatchedUser:
    """Whether one user is online. A view of the edges where the user is signed in."""

    def __init__(self, key: UserKey) -> None:
        self.key = key
        # Whether that is known, and what those who watch have been told.
        self.is_known = False
        self.is_online = False
        self.watchlists: dict[_Watchlist, None] = {}
        self._edges: set[str] = set()

    @property
    def id(self) -> str:
        """The user's id."""
        return self.key[1]

    def reset(self, entries: Sequence[Entry]) -> None:
        """Take the edges where the user is signed in."""
        self._edges = {entry.key for entry in entries}

    def put(self, entry: Entry) -> None:
        """Take one edge more."""
        self._edges.add(entry.key)

    def removed(self, key: str) -> None:
        """Take one edge less."""
        self._edges.discard(key)

    def settle(self) -> None:
        """Tell those who watch."""
        online = bool(self._edges)
        changed, self.is_online = online != self.is_online, online
        was_known, self.is_known = self.is_known, True
        for watchlist in list(self.watchlists):
            if not was_known:
                watchlist.begin_if_known()
            elif changed:
                watchlist.changed(self)


class _Watchlist:
    """Whom one connection watches."""

    def __init__(self, connection: Connection, users: Sequence[WatchedUser]) -> None:
        self._connection = connection
        self.users = users
        self._has_begun = False

    def begin_if_known(self) -> None:
        """Tell how things stand, once that is known of everybody."""
        if not self._has_begun and all(user.is_known for user in self.users):
            self._has_begun = True
            self._tell(self.users)

    def changed(self, user: WatchedUser) -> None:
        """Tell of one user."""
        if self._has_begun:
            self._tell([user])

    def _tell(self, users: Sequence[WatchedUser]) -> None:
        online = [user.id for user in users if user.is_online]
        offline = [user.id for user in users if not user.is_online]
        self._connection.send_message(frames.watchlist_events(online, offline))
