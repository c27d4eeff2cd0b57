"""One request of the HTTP API: found, authenticated, done and answered."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry

from pogo.broker.apps import AppDirectory
from pogo.broker.cache import CachedEvents
from pogo.broker.http.answers import Answer, refuse, respond
from pogo.broker.http.bodies import SMALL_BODY, BodyReader
from pogo.broker.http.errors import (
    ApiError,
    NoPathError,
    UnauthorizedError,
    UnavailableError,
)
from pogo.broker.http.metrics import HttpMetrics
from pogo.broker.http.paths import Endpoint, Target, find_target
from pogo.broker.http.publishing import Publishing
from pogo.broker.http.rates import RateLimitedError, rate_headers, rate_kind
from pogo.broker.http.reads import Reads
from pogo.broker.http.signature import (
    check_body,
    check_claims,
    check_signature,
    key_of,
    parse_query,
)
from pogo.broker.publisher import Publisher
from pogo.broker.rates import AppRates
from pogo.broker.repeats import Repeats
from pogo.bus import BusError
from pogo.cluster import ClusterQueries, TooManyQuestionsError
from pogo.records import RecordsError
from pogo.settings import App, Settings
from pogo.telemetry import get_logger

IDEMPOTENCY_KEY = "X-Idempotency-Key"

_log = get_logger()


class HttpApi:
    """Answers back ends.

    The first rule that a request breaks is its answer, in this order: the path (404), the method
    (405), the app (404), the key, version, time and signature (401), whether the app is enabled
    (403), the body's size (413) and MD5 (401), what it says (400), the app's rate (429), what is
    asked for (400). Nothing of a body is held before its signature is right.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        apps: AppDirectory,
        publisher: Publisher,
        repeats: Repeats,
        queries: ClusterQueries,
        cached_events: CachedEvents,
        rates: AppRates,
        metrics: CollectorRegistry,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._apps = apps
        self._bodies = BodyReader(settings)
        self._publishing = Publishing(
            settings, publisher=publisher, repeats=repeats, queries=queries, rates=rates
        )
        self._rates = rates
        self._metrics = HttpMetrics(metrics)
        self._reads = Reads(settings, queries, cached_events)
        self._clock = clock

    def add_routes(self, application: web.Application) -> None:
        """Answer at the API's paths, below any prefix, in an application that has others."""
        for path in (
            r"/{_:(?s:(?:.*/)?apps/.+)}",
            r"/{_:(?s:(?:.*/)?users/[^/]+/terminate_connections)}",
        ):
            application.router.add_route("*", path, self.handle, expect_handler=_nothing)

    async def finish_bodies(self) -> None:
        """Wait for the bodies that clients are sending: a few seconds at the most."""
        await self._bodies.finish()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request.

        Raises:
            ConnectionError: The client has gone before it had sent all.
        """
        path, _, query = request.raw_path.partition("?")
        target = find_target(path)
        response = await self._guarded(self._respond(request, target, query))
        self._metrics.answered(None if target is None else target.endpoint, response.status)
        return response

    async def _guarded(self, work: Awaitable[web.Response]) -> web.Response:
        """Answer whatever goes wrong."""
        try:
            return await work
        except ApiError as error:
            return refuse(error)
        except (BusError, TooManyQuestionsError) as error:
            return refuse(UnavailableError(f"the edges cannot be asked now: {error}"))
        except RecordsError as error:
            return refuse(UnavailableError(f"the cache cannot be asked now: {error}"))
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - the boundary of a request
            _log.exception("a request of the HTTP API failed")
            return refuse(ApiError(500, "the server failed"))

    async def _respond(
        self, request: web.BaseRequest, target: Target | None, query: str
    ) -> web.Response:
        if target is None:
            raise NoPathError("there is nothing at this path")
        endpoint = target.endpoint
        if request.method != endpoint.method:
            message = f"this path takes {endpoint.method}"
            raise ApiError(405, message, {"Allow": endpoint.method})
        parameters = parse_query(query)
        app = self._authenticate(request.method, target, parameters)
        work = self._answer(request, target, app, parameters)
        kind = rate_kind(endpoint)
        if not self._rates.limits(app, kind):
            return respond(await work)
        # What is refused is told how its app stands, too.
        response = await self._guarded(_responded(work))
        response.headers.update(rate_headers(self._rates, app, kind))
        return response

    async def _answer(
        self, request: web.BaseRequest, target: Target, app: App, parameters: dict[str, str]
    ) -> Answer:
        endpoint = target.endpoint
        body = await self._bodies.read(request, self._limit(endpoint))
        check_body(body, parameters)
        if endpoint is Endpoint.EVENTS:
            return await self._publishing.trigger(app, body, _key(request))
        if endpoint is Endpoint.BATCH_EVENTS:
            return await self._publishing.trigger_batch(app, body, _key(request))
        return await self._ask(endpoint, app, target.name, parameters)

    async def _ask(
        self, endpoint: Endpoint, app: App, name: str, parameters: dict[str, str]
    ) -> Answer:
        refusal = self._rates.take_reads(app)
        if refusal is not None:
            raise RateLimitedError(refusal)
        reads = self._reads
        match endpoint:
            case Endpoint.CHANNELS:
                asked = reads.channels(app, parameters)
            case Endpoint.CHANNEL:
                asked = reads.channel(app, name, parameters)
            case Endpoint.USERS:
                asked = reads.users(app, name)
            case Endpoint.TERMINATE:
                asked = reads.terminate(app, name)
            case _:
                asked = reads.connections(app)
        return await asked

    def _authenticate(self, method: str, target: Target, parameters: dict[str, str]) -> App:
        """Tell whose request it is.

        Raises:
            ApiError: There is no such app, it is disabled, or it did not send this.
        """
        if target.app_id:
            app = self._apps.by_id(target.app_id)
            if app is None:
                raise NoPathError("there is no app with this id")
            if key_of(parameters) != app.key:
                raise UnauthorizedError("auth_key is not the key of this app")
        else:
            app = self._apps.by_key(key_of(parameters))
            if app is None:
                raise UnauthorizedError("auth_key is not the key of an app")
        check_claims(parameters, self._clock())
        check_signature(app, method, target.signed, parameters)
        if not app.enabled:
            raise ApiError(403, "the app is disabled")
        return app

    def _limit(self, endpoint: Endpoint) -> int:
        if endpoint is Endpoint.EVENTS:
            return self._bodies.max_event
        return self._bodies.max_batch if endpoint is Endpoint.BATCH_EVENTS else SMALL_BODY


def _key(request: web.BaseRequest) -> str:
    return request.headers.get(IDEMPOTENCY_KEY, "")


async def _responded(work: Awaitable[Answer]) -> web.Response:
    return respond(await work)


async def _nothing(request: web.Request) -> None:
    """Do not ask for a body before it is known whose it is."""
    del request
