"""`pogo publish`: one event, by way of the Python client."""

import msgspec
import typer

from pogo.cli.errors import CommandError, UsageError
from pogo.cli.target import Target
from pogo.client import Client, PublishError


def publish(target: Target, channel: str, event: str, data: str, *, socket_id: str | None) -> None:
    """Publish, and print `ok` once the bus has the event.

    Raises:
        CommandError: It was not published, or not for certain.
        UsageError: The app's secret is not known.
    """
    if target.secret is None:
        raise UsageError(
            f"the secret of app {target.app_id} is not known: "
            "name the variable that holds it with --secret-from-env"
        )
    with Client(
        target.broker, app_id=target.app_id, key=target.key, secret=target.secret
    ) as client:
        try:
            client.publish(channel, event, _json_text(data), socket_id=socket_id)
        except PublishError as error:
            raise CommandError(f"{error} (broker {target.broker})") from None
    typer.echo("ok")


def _json_text(data: str) -> str:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        text = msgspec.json.encode(data).decode()
        typer.echo(f"the data is not JSON, so it is sent as the string {text}", err=True)
        return text
    return data
