"""The application's PHP worker, as the auth service asks it."""

from urllib.parse import urlencode

from pogo.authsvc.answers import check_channel_answer
from pogo.authsvc.apps import AuthApps
from pogo.authsvc.errors import InvalidAnswerError, UnreachableError, WorkerFailedError
from pogo.authsvc.upstream import WorkerAnswer, WorkerRequest
from pogo.authsvc.upstreams import make_upstream
from pogo.authsvc.worker import checked
from pogo.cli.doctor.bus_server import Stopwatch
from pogo.cli.doctor.findings import Finding, ok, skipped, warning, wrong
from pogo.pusher.channels import channel_kind
from pogo.settings import Settings

_CHANNEL = "private-pogo-doctor"
_SOCKET_ID = "1.1"
_HEADERS = (("accept", "application/json"), ("x-requested-with", "XMLHttpRequest"))

_OK = 200
_NOT_FOUND = 404
_SIGNATURE_ADVICE = "give the application and the settings here the same key and secret of the app"


async def check_worker(settings: Settings) -> Finding:
    """Ask it to sign a channel for somebody who has no session, and nothing else."""
    if not settings.auth_upstream:
        return skipped("auth_upstream names none")
    upstream = make_upstream(settings)
    body = urlencode({"socket_id": _SOCKET_ID, "channel_name": _CHANNEL}).encode()
    watch = Stopwatch()
    try:
        answer = await upstream.ask(
            WorkerRequest(settings.auth_path, body, _HEADERS, host="localhost", remote="127.0.0.1")
        )
    except UnreachableError as error:
        return wrong(error.detail, "start the worker, or set auth_upstream")
    except InvalidAnswerError as error:
        return wrong(
            f"the worker at {settings.auth_upstream} cannot be understood: {error.detail}",
            "use fastcgi:// for php-fpm, and http:// for a web server",
        )
    finally:
        await upstream.close()
    return judge_answer(answer, settings, watch.milliseconds)


def judge_answer(answer: WorkerAnswer, settings: Settings, milliseconds: float) -> Finding:
    """Judge what it answered, within so many milliseconds."""
    path = settings.auth_path
    try:
        status = checked(answer).status
    except WorkerFailedError as error:
        return wrong(
            f"the worker fails at {path}: {error.detail}",
            "see the logs of the application and of php-fpm; auth_script is a path where PHP runs",
        )
    if status == _OK:
        return _judge_signature(answer, settings)
    if status == _NOT_FOUND:
        return wrong(
            f"the worker has nothing at {path}: it answers 404",
            "give the application a route there, or set auth_path (docs/auth-worker.md)",
        )
    if milliseconds > settings.auth_timeout * 1000:
        return warning(
            f"the worker took {milliseconds:.0f} ms, beyond auth_timeout",
            "see why it is slow: clients got 504",
        )
    return ok(
        f"the worker refuses whoever has no session ({status}), in {milliseconds:.0f} ms, as it "
        "should"
    )


def _judge_signature(answer: WorkerAnswer, settings: Settings) -> Finding:
    apps = AuthApps(settings.apps, settings.allowed_origins)
    try:
        check_channel_answer(
            answer.body,
            apps,
            socket_id=_SOCKET_ID,
            channel=_CHANNEL,
            kind=channel_kind(_CHANNEL),
        )
    except InvalidAnswerError as error:
        return wrong(f"the worker signs, and not as it should: {error.detail}", _SIGNATURE_ADVICE)
    return warning(
        f"the worker signs {_CHANNEL} for somebody who has no session",
        "see to it that the application asks who may subscribe to a channel",
    )
