"""What PHP makes of an app's rate, by gRPC."""

from tests.broker.helpers import APP
from tests.php.conftest import StartBroker, StartPhp
from tests.php.process import BROADCAST_MULTI, PUBLISH

EVENT = ("news", "headline", "{}")


async def test_over_the_rate(start_broker: StartBroker, start_php: StartPhp) -> None:
    """The class throws with the broker's words, the functions return 6, and nothing is repeated."""
    limited = APP.model_copy(update={"event_rate": 0.1})
    async with (
        start_broker(apps=(limited,)) as broker,
        start_php(broker.server.grpc_port) as php,
    ):
        assert (0, "") == await php.outcome("publish", *EVENT)
        answer = await php.call("publish", *EVENT)

        assert "RESOURCE_EXHAUSTED" == answer["error"]
        assert "the app has reached its rate of 0.1 events a second" in answer["message"]
        assert "RESOURCE_EXHAUSTED" == (await php.call("publishBatch", EVENT, EVENT))["error"]
        assert 6 == await php.code(PUBLISH, APP.id, *EVENT)
        assert 6 == await php.code(BROADCAST_MULTI, APP.id, '["news"]', "headline", "{}")
        assert "pogo: not published: RESOURCE_EXHAUSTED: the app has reached" in php.log
        assert 4.0 == broker.metrics.get_sample_value(
            "pogo_websocket_rate_limited_calls_total", {"kind": "events"}
        )
