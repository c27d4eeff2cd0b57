"""Channels that need a signature, those that need none, and signatures that are none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pogo.pusher.signatures import sign_channel, sign_user

GUARDED = (
    "private-a",
    "private-cache-a",
    "private-encrypted-a",
    "private-encrypted-cache-a",
    "presence-a",
    "presence-cache-a",
    # Cache channels by the look of it only: `cache-` is not where it would count.
    "private-mycache-a",
    "presence-mycache-a",
)

OPEN = ("cache-a", "privateer", "private", "presence", "presenceful", "cachet", "mycache-a")

MEMBER = '{"user_id":"7"}'

OTHER_KEY = "other-key"
OTHER_SECRET = b"other-secret"


def member_of(channel: str) -> str | None:
    """Return what an application signs beside a channel."""
    return MEMBER if channel.startswith("presence-") else None


@dataclass(frozen=True, slots=True)
class Signer:
    """What an application signs with, and for whom."""

    key: str
    secret: bytes
    socket_id: str

    def auth(self, channel: str, channel_data: str | None = None, *, key: str = "") -> str:
        """Sign a subscription."""
        signature = sign_channel(self.secret, self.socket_id, channel, channel_data)
        return f"{key or self.key}:{signature}"

    def request(self, channel: str) -> dict[str, str]:
        """Return the data of a subscription that is to be let in."""
        data = member_of(channel)
        own = {} if data is None else {"channel_data": data}
        return {"channel": channel, "auth": self.auth(channel, data), **own}


def forgeries(signer: Signer, channel: str) -> Mapping[str, dict[str, str | None]]:
    """Return the data of subscriptions that are to be refused, by what is wrong with them."""
    good = signer.request(channel)
    signature = good["auth"].removeprefix(f"{signer.key}:")
    data = member_of(channel)
    stranger = Signer(OTHER_KEY, OTHER_SECRET, signer.socket_id)
    neighbour = Signer(signer.key, signer.secret, f"{signer.socket_id}1")
    user_data = json.dumps({"id": "7"})
    # As sockudo 5.0.1 reads it: a cache channel behind a prefix that does not count.
    shorter = channel.partition("-")[2]
    auths: dict[str, str | None] = {
        "null": None,
        "empty": "",
        "only a colon": ":",
        "only the key": signer.key,
        "no signature": f"{signer.key}:",
        "a wrong signature": f"{signer.key}:{'0' * 64}",
        "no key": signature,
        "an empty key": f":{signature}",
        "another app's key": f"{OTHER_KEY}:{signature}",
        "another app's key and secret": stranger.auth(channel, data),
        "another app's secret": stranger.auth(channel, data, key=signer.key),
        "another socket's": neighbour.auth(channel, data),
        "another channel's": signer.auth(f"{channel}b", data),
        "a shorter channel's": signer.auth(shorter, data),
        "a user's": f"{signer.key}:{sign_user(signer.secret, signer.socket_id, user_data)}",
        "in capitals": f"{signer.key}:{signature.upper()}",
        "cut short": good["auth"][:-1],
        "with an end": f"{good['auth']}0",
        "with another signature": f"{good['auth']}:{signature}",
        "with a space": f" {good['auth']}",
    }
    forged = {name: {**good, "auth": auth} for name, auth in auths.items()}
    forged["missing"] = {name: text for name, text in good.items() if name != "auth"}
    forged["over another member"] = {**good, "channel_data": '{"user_id":"8"}'}
    forged["over no member"] = {**good, "auth": signer.auth(channel, None if data else MEMBER)}
    return forged
