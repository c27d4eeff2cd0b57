"""`pogo listen`: events on the terminal as they come, one a line.

Events go to standard output and all else to standard error, so that the output can be piped.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import typer

from pogo.cli.errors import UsageError
from pogo.cli.subscriber import Message, Subscriber
from pogo.cli.target import Target
from pogo.pusher.channels import ChannelNameError, check_channel_name


class _Terminal:
    """Prints for people."""

    def event(self, message: Message) -> None:
        now = datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-3]
        data = message.data
        text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
        parts = [
            typer.style(now, dim=True),
            typer.style(_printable(message.channel), fg=typer.colors.CYAN),
            typer.style(_printable(message.event), bold=True),
            _printable(text),
        ]
        if message.user_id:
            parts.append(typer.style(f"(from {_printable(message.user_id)})", dim=True))
        typer.echo("  ".join(parts))

    def notice(self, text: str) -> None:
        typer.secho(_printable(text), err=True, dim=True)


class _Lines(_Terminal):
    """Prints a JSON object a line for programs; `data` is decoded as pusher-js does."""

    def event(self, message: Message) -> None:
        line: dict[str, object] = {
            "timestamp": datetime.now(UTC),
            "channel": message.channel,
            "event": message.event,
            "data": _decoded(message.data),
        }
        if message.user_id:
            line["user_id"] = message.user_id
        typer.echo(msgspec.json.encode(line))


def listen(target: Target, channels: Sequence[str], *, as_json: bool) -> None:
    """Print what arrives until interrupted.

    Raises:
        CommandError: The server does not want this client, or is no Pusher server.
        UsageError: A channel has no name that a channel can have, or needs a secret.
    """
    for channel in channels:
        try:
            check_channel_name(channel)
        except ChannelNameError as error:
            raise UsageError(f"{channel!r}: {error}") from None
    subscriber = Subscriber(target, channels, _Lines() if as_json else _Terminal())
    try:
        asyncio.run(subscriber.run())
    except KeyboardInterrupt:
        # The way to end it: not a failure.
        return


def _decoded(data: object) -> object:
    if isinstance(data, str):
        try:
            return msgspec.json.decode(data)
        except msgspec.DecodeError:
            return data
    return data


def _printable(text: str) -> str:
    """Escape what a terminal would obey: what arrives is anybody's text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
