"""Who PHP says it is, and what the broker thinks of it."""

import subprocess
import time
from pathlib import Path

import jwt
from pydantic import SecretStr

from tests.broker.helpers import APP, OTHER, RunningBroker
from tests.php.conftest import StartPhp
from tests.php.process import BROADCAST_MULTI, PUBLISH

ROOT = Path(__file__).parents[2]
EVENT = ("news", "headline", "{}")
_MINT = """
require $argv[1];
echo new Pogo\\WebSocket\\Token($argv[2], $argv[3], time(...));
"""


def test_the_token_is_what_a_jwt_library_expects() -> None:
    """PyJWT verifies the token: for us, signed with the secret, good for five minutes."""
    secret = "Grüße-a-secret-that-is-long-enough"
    command = ["php", "-r", _MINT, "--", str(ROOT / "php/autoload.php"), "shop-key", secret]
    token = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    claims = jwt.decode(token, secret, algorithms=["HS256"], audience="pogo-broker")

    assert {"iss", "aud", "exp"} == set(claims)
    assert "shop-key" == claims["iss"]
    assert 290 < claims["exp"] - time.time() <= 300


async def test_a_wrong_secret(broker: RunningBroker, start_php: StartPhp) -> None:
    """The functions return 6 and log why; the class says it as an exception. No secret is shown."""
    wrong = "a-wrong-secret-that-nobody-may-see"
    thief = APP.model_copy(update={"secret": SecretStr(wrong)})
    async with start_php(broker.server.grpc_port, thief) as php:
        assert 6 == await php.code(PUBLISH, APP.id, *EVENT)
        assert 6 == await php.code(BROADCAST_MULTI, APP.id, '["news"]', "headline", "{}")

        answer = await php.call("publish", *EVENT)

        assert "UNAUTHENTICATED" == answer["error"]
        assert "secret" in answer["message"]
        assert 2 == php.log.count("pogo: not published: UNAUTHENTICATED: the token is not signed")
        for shown in (php.log, answer["message"]):
            assert wrong not in shown
            assert "Bearer" not in shown


async def test_a_key_that_nobody_has(broker: RunningBroker, start_php: StartPhp) -> None:
    """An unknown key is not let in."""
    nobody = APP.model_copy(update={"key": "nobody"})
    async with start_php(broker.server.grpc_port, nobody) as php:
        assert "UNAUTHENTICATED" == (await php.call("publish", *EVENT))["error"]


async def test_another_app(broker: RunningBroker, start_php: StartPhp) -> None:
    """An app publishes to itself only."""
    impostor = APP.model_copy(update={"id": OTHER.id})
    async with start_php(broker.server.grpc_port, impostor) as php:
        assert "PERMISSION_DENIED" == (await php.call("publish", *EVENT))["error"]
        assert "PERMISSION_DENIED" == (await php.call("publishBatch", EVENT, EVENT))["error"]


async def test_the_secret_before(broker: RunningBroker, start_php: StartPhp) -> None:
    """While a secret is being changed, the one before it is good too."""
    assert APP.previous_secret is not None
    old = APP.model_copy(update={"secret": APP.previous_secret})
    async with start_php(broker.server.grpc_port, old) as php:
        assert (0, "") == await php.outcome("publish", *EVENT)
