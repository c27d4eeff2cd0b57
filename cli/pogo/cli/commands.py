"""What can be typed: commands, their flags and their help.

Each command imports what it needs when it runs, so that `pogo --help` and `pogo version` are quick.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pogo.cli.errors import CommandError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    # Locals of a traceback may be secrets; a plain one is also what logs can take.
    pretty_exceptions_enable=False,
    help="Pogo WebSocket: a realtime server that speaks the Pusher Channels protocol 7.",
)
_config_app = typer.Typer(no_args_is_help=True, help="Look at the settings.")
app.add_typer(_config_app, name="config")

_MAX_PORT = 65_535

Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings in TOML; ./pogo.toml if there is one."),
]
Host = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=_MAX_PORT, metavar="PORT", help="WebSocket and HTTP port; 0 takes any free one."
    ),
]
HttpPort = Annotated[
    int | None,
    typer.Option(min=0, max=_MAX_PORT, metavar="PORT", help="HTTP port; 0 takes any free one."),
]
GrpcPort = Annotated[
    int | None,
    typer.Option(min=0, max=_MAX_PORT, metavar="PORT", help="gRPC port; 0 takes any free one."),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0, max=_MAX_PORT, metavar="PORT", help="Port of /metrics; 0 takes any free one."
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Processes on the port, each an edge; 0 or auto: one for each CPU."
    ),
]
AppId = Annotated[str | None, typer.Option(metavar="ID", help="The app, where there are several.")]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="The app by its key.")]
SecretFromEnv = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Environment variable that holds the app's secret."),
]

Ca = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Authorities to believe, in PEM, instead of the system's. Else $POGO_CA_FILE.",
    ),
]


@app.command(
    epilog="Example: `pogo serve --port 0` or `pogo serve --config pogo.toml --host 0.0.0.0`"
)
def serve(
    *,
    config: Config = None,
    host: Host = None,
    port: Port = None,
    grpc_port: GrpcPort = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Run everything in one process, with no other server to install.

    Without configuration it serves an app `pogo-app` with a random secret, and a demo page.

    Ctrl-C or SIGTERM stops it, a second one ends it at once; SIGHUP reads the apps again.
    """
    from pogo.cli.services import run_serve

    flags = {"host": host, "port": port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    run_serve(config, flags)


@app.command(epilog="Example: `pogo edge --config pogo.toml --host 0.0.0.0`")
def edge(
    *,
    config: Config = None,
    host: Host = None,
    port: Port = None,
    metrics_port: MetricsPort = None,
    workers: Workers = None,
) -> None:
    """Run an edge: it holds WebSockets, and takes events from the bus.

    Ctrl-C or SIGTERM stops it, a second one ends it at once; SIGHUP reads the apps again.

    With several workers, SIGHUP replaces them in turn, and a worker that dies is replaced. Their
    metrics are on one page.
    """
    from pogo.cli.configuration import load
    from pogo.cli.workers import run_workers, worker_count

    flags = {"host": host, "port": port, "metrics_port": metrics_port, "workers": workers}
    count = worker_count(load(config, flags).workers)
    if count > 1:
        run_workers(config, flags, count)
    else:
        # Not before: the parent of workers has no use for what an edge is made of.
        from pogo.cli.services import run_edge

        run_edge(config, flags)


@app.command(hidden=True)
def edge_worker(job: Annotated[str, typer.Argument(metavar="JOB")]) -> None:
    """Run one worker of `pogo edge --workers N`, which starts it."""
    from pogo.cli.services import run_edge_worker
    from pogo.cli.workers import Job

    run_edge_worker(Job.decode(job))


@app.command(epilog="Example: `pogo broker --config pogo.toml --port 8081`")
def broker(
    *,
    config: Config = None,
    host: Host = None,
    port: HttpPort = None,
    grpc_port: GrpcPort = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Run one broker: it takes events by gRPC and by HTTP, and puts them on the bus.

    Ctrl-C or SIGTERM stops it, a second one ends it at once; SIGHUP reads the apps again.
    """
    from pogo.cli.services import run_broker

    flags = {"host": host, "port": port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    run_broker(config, flags)


@app.command(epilog="Example: `pogo authsvc --config pogo.toml --port 8082 --grpc-port 50052`")
def authsvc(
    *,
    config: Config = None,
    host: Host = None,
    port: HttpPort = None,
    grpc_port: GrpcPort = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Run one auth service: it has channels and users signed by the application's PHP worker.

    Browsers ask it by HTTP, edges by gRPC. The setting `auth_upstream` says where the worker is.

    Ctrl-C or SIGTERM stops it, a second one ends it at once; SIGHUP reads the apps again.
    """
    from pogo.cli.services import run_authsvc

    flags = {"host": host, "port": port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    run_authsvc(config, flags)


@app.command(epilog="""Example: `pogo publish my-channel hello '{"from":"me"}'`""")
def publish(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")],
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's name.")],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="JSON; else it is sent as a JSON string. Put -- before data that begins with -.",
        ),
    ],
    *,
    config: Config = None,
    app_id: AppId = None,
    key: Key = None,
    secret_from_env: SecretFromEnv = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The broker's gRPC address.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS to it.")] = False,
    ca: Ca = None,
    socket_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The connection that must not receive it.")
    ] = None,
) -> None:
    """Publish one event. Prints `ok`, or why not and exits with 1.

    The app is the one in the settings, or that of a `pogo serve` running here.
    """
    from pogo.cli.publish import publish as run
    from pogo.cli.target import find_target

    target = find_target(
        config=config,
        broker=broker,
        app_id=app_id,
        key=key,
        secret_from_env=secret_from_env,
        tls=tls,
        ca=ca,
    )
    run(target, channel, event, data, socket_id=socket_id)


@app.command(epilog="Example: `pogo listen my-channel presence-room --json`")
def listen(
    channels: Annotated[list[str], typer.Argument(metavar="CHANNEL", help="Names of channels.")],
    *,
    config: Config = None,
    app_id: AppId = None,
    key: Key = None,
    secret_from_env: SecretFromEnv = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The server, such as http://127.0.0.1:8080.")
    ] = None,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print events as they come, until Ctrl-C.

    Private and presence channels are signed with the app's secret. The app is the one in the
    settings, or that of a `pogo serve` running here.
    """
    from pogo.cli.listen import listen as run
    from pogo.cli.target import find_target

    target = find_target(
        config=config, url=url, app_id=app_id, key=key, secret_from_env=secret_from_env, ca=ca
    )
    run(target, channels, as_json=as_json)


@app.command(epilog="Example: `pogo doctor --url https://ws.example.com --broker broker:50051`")
def doctor(
    *,
    config: Config = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The HTTP API, and edges if not elsewhere.")
    ] = None,
    edge: Annotated[
        str | None, typer.Option(metavar="URL", help="Where browsers connect, if elsewhere.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A broker's gRPC address.")
    ] = None,
    authsvc: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="An auth service's gRPC address.")
    ] = None,
    app_id: AppId = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS to gRPC addresses.")] = False,
    ca: Ca = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=60, metavar="SECONDS", help="What each check is given.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check the settings, this machine and all services, and say what to do. Changes nothing.

    Services that are not named are looked for on this machine.

    Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 the settings cannot be
    used.
    """
    from pogo.cli.doctor import Flags
    from pogo.cli.doctor import doctor as run

    flags = Flags(url, edge, broker, authsvc, app_id, tls, ca)
    run(config, flags, patience=timeout, json=as_json)


@_config_app.command(epilog="Example: `pogo config check --config pogo.toml`")
def check(*, config: Config = None) -> None:
    """Show the settings in force and where each was set, or everything that is wrong."""
    from pogo.cli.check import check as run

    run(config)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as distribution_version

    typer.echo(f"pogo {distribution_version('pogo-websocket')}")


def main() -> None:
    """Run the command that was typed. Exit codes: 0 well, 1 it failed, 2 it was asked wrongly."""
    # Before gRPC is imported, which reads it then: it would log each TLS handshake that a client
    # gets wrong, past the logs of the service.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        app()
    except CommandError as error:
        typer.echo(f"pogo: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        # A full disk behind the output, say.
        typer.echo(f"pogo: {error}", err=True)
        sys.exit(CommandError.exit_code)
