"""`pogo publish`: one event, by way of the Python client."""

import msgspec
import typer

from pogo.cli.errors import CommandError, UsageError
from pogo.cli.target import Target
from pogo.client import Client, ConfigurationError, PublishError
from pogo.pusher.handshake import is_socket_id


def publish(target: Target, channel: str, event: str, data: str, *, socket_id: str | None) -> None:
    """Publish, and print `ok` once the bus has the event.

    Raises:
        CommandError: It was not published, or not for certain.
        UsageError: The app's secret is not known.
    """
    try:
        f"{channel}{event}{data}".encode()
    except UnicodeEncodeError:
        raise UsageError("the channel, the event and the data are text in UTF-8") from None
    if socket_id is not None and not is_socket_id(socket_id):
        raise UsageError(f"{socket_id!r} is no socket id, which is two numbers such as 123.456")
    if target.secret is None:
        raise UsageError(
            f"the secret of app {target.app_id} is not known: "
            "name the variable that holds it with --secret-from-env"
        )
    with _client(target, target.secret) as client:
        try:
            client.publish(channel, event, _json_text(data), socket_id=socket_id)
        except PublishError as error:
            raise CommandError(f"{error} (broker {target.broker})") from None
    typer.echo("ok")


def _client(target: Target, secret: str) -> Client:
    try:
        return Client(
            target.broker,
            app_id=target.app_id,
            key=target.key,
            secret=secret,
            # Else the environment may say so.
            secure=target.tls or None,
            root_certificates=None if target.ca is None else target.ca.read_bytes(),
        )
    except OSError as error:
        raise UsageError(f"{target.ca}: {error.strerror}") from None
    except ConfigurationError as error:
        raise UsageError(str(error)) from None


def _json_text(data: str) -> str:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        text = msgspec.json.encode(data).decode()
        typer.echo(f"the data is not JSON, so it is sent as the string {text}", err=True)
        return text
    return data
