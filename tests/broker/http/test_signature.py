import time

import pytest
from pydantic import SecretStr

from pogo.broker.http.errors import UnauthorizedError
from pogo.broker.http.signature import check_body, check_claims, check_signature, parse_query
from pogo.settings import App
from tests.broker.helpers import APP, DISABLED, OTHER, listen
from tests.broker.http.conftest import Cluster
from tests.broker.http.helpers import BODY, CHANNELS, EVENTS, Api, Backend, sign, trigger


def at(seconds: int) -> str:
    """Tell the time so many seconds from now."""
    return str(int(time.time()) + seconds)


@pytest.mark.parametrize(
    ("auth", "error"),
    [
        ({"auth_key": "nobody"}, "auth_key is not the key of this app"),
        ({"auth_key": OTHER.key}, "auth_key is not the key of this app"),
        ({"auth_key": None}, "auth_key is missing"),
        ({"auth_version": "2.0"}, "auth_version is not 1.0"),
        ({"auth_version": None}, "auth_version is missing"),
        ({"auth_timestamp": None}, "auth_timestamp is missing"),
        ({"auth_timestamp": ""}, "auth_timestamp is not a number"),
        ({"auth_timestamp": "-1"}, "auth_timestamp is not a number"),
        ({"auth_timestamp": "1e9"}, "auth_timestamp is not a number"),
        ({"auth_timestamp": "%C2%B2"}, "auth_timestamp is not a number"),
        ({"auth_timestamp": "9" * 500}, "auth_timestamp is not a number"),
        ({"auth_timestamp": "1353088179"}, "auth_timestamp is more than 600 seconds"),
        ({"auth_signature": None}, "auth_signature is missing"),
        ({"auth_signature": ""}, "auth_signature is not that"),
        ({"auth_signature": "0" * 64}, "auth_signature is not that"),
        ({"auth_signature": "%C3%BC"}, "auth_signature is not that"),
        ({"secret": OTHER.secret.get_secret_value()}, "auth_signature is not that"),
        ({"secret": ""}, None),
        ({"body_md5": None}, "body_md5 is missing"),
        ({"body_md5": "0" * 32}, "body_md5 is not the MD5"),
        ({"body_md5": ""}, "body_md5 is not the MD5"),
        ({"signed_path": "/apps/other/events"}, "auth_signature is not that"),
        ({"signed_path": "/apps/shop/batch_events"}, "auth_signature is not that"),
    ],
)
async def test_who_is_not_the_app_is_refused(
    api: Api, auth: dict[str, str | None], error: str | None
) -> None:
    """Whatever is wrong with a signature is 401 with a sentence, and nothing is published."""
    heard = listen(api.broker.server._bus, "news")  # noqa: SLF001 (the broker's own)
    reply = await api.backend.post(EVENTS, BODY, **auth)
    if error is None:
        assert 200 == reply.status
        return

    assert 401 == reply.status
    assert reply.body["error"].startswith(error)
    assert [] == heard


@pytest.mark.parametrize("seconds", [-620, 620])
async def test_an_old_or_future_time(backend: Backend, seconds: int) -> None:
    """A request is taken within 600 seconds of the server's time, both ways."""
    late = await backend.request("POST", EVENTS, BODY, auth_timestamp=at(seconds))
    inside = await backend.request("POST", EVENTS, BODY, auth_timestamp=at(seconds * 29 // 31))

    assert (401, 200) == (late.status, inside.status)


async def test_a_signature_is_for_one_request(backend: Backend) -> None:
    """Signatures that are swapped between methods, paths, queries or bodies are worth nothing."""
    query = sign("POST", EVENTS, BODY)
    other = BODY.replace(b"news", b"olds")
    statuses = [
        (await backend.send("POST", f"{EVENTS}?{query}", other)).status,
        (await backend.send("POST", f"/apps/shop/batch_events?{query}", BODY)).status,
        (await backend.send("POST", f"{EVENTS}?{query}&info=user_count", BODY)).status,
        (await backend.send("GET", f"{CHANNELS}?{query}")).status,
        (await backend.send("POST", f"{EVENTS}?{query.replace('body_md5', 'x')}", BODY)).status,
        (await backend.send("POST", f"{EVENTS}?{query}", BODY)).status,
    ]

    assert [401, 401, 401, 401, 401, 200] == statuses


async def test_both_secrets_count(backend: Backend) -> None:
    """While a secret is rotated, the one before it signs too."""
    assert APP.previous_secret is not None
    secret = APP.previous_secret.get_secret_value()
    reply = await backend.request("POST", EVENTS, BODY, secret=secret)

    assert 200 == reply.status


async def test_apps(backend: Backend) -> None:
    """An unknown app is 404; a disabled one 403, to those who are that app."""
    unknown = await backend.post("/apps/nobody/events", trigger())
    closed = await backend.post("/apps/closed/events", trigger(), app=DISABLED)
    stranger = await backend.post("/apps/closed/events", trigger(), app=DISABLED, secret="x")
    another = await backend.post("/apps/other/events", trigger())

    assert (404, "there is no app with this id") == unknown.error
    assert (403, "the app is disabled") == closed.error
    assert 401 == stranger.status
    assert (401, "auth_key is not the key of this app") == another.error


async def test_apps_that_are_read_again(api: Api) -> None:
    """From then on the new secret counts, and the old one does not."""
    secret = "the-secret-that-came-with-a-reload"
    renewed = App(id=APP.id, key=APP.key, secret=SecretStr(secret))
    before = await api.backend.post(EVENTS, BODY)
    api.broker.server.replace_apps([renewed])
    old = await api.backend.post(EVENTS, BODY)
    new = await api.backend.post(EVENTS, BODY, secret=secret)
    gone = await api.backend.post("/apps/other/events", BODY, app=OTHER)

    assert [200, 401, 200, 404] == [each.status for each in (before, old, new, gone)]


async def test_no_secret_is_told(backend: Backend) -> None:
    """The refusal says what should have been signed, and nothing that would sign it."""
    reply = await backend.request("POST", EVENTS, BODY, auth_signature="0" * 64)

    assert "POST\n/apps/shop/events\nauth_key=shop-key&auth_timestamp=" in reply.body["error"]
    assert APP.secret.get_secret_value() not in str(reply)


async def test_names_of_parameters_are_signed_in_small_letters(backend: Backend) -> None:
    """`Filter_By_Prefix` is signed as `filter_by_prefix`, and its value as it is unescaped."""
    query = sign("GET", CHANNELS, query={"filter_by_prefix": "a=@,.;"})
    sent = query.replace("filter_by_prefix=a=@,.;", "Filter_By_Prefix=a%3D%40%2C.%3B")
    reply = await backend.send("GET", f"{CHANNELS}?{sent}")
    twice = await backend.send("GET", f"{CHANNELS}?{query}&Filter_by_prefix=b")

    assert (200, {"channels": {}}) == (reply.status, reply.body)
    assert (400, "the parameter 'filter_by_prefix' comes twice") == twice.error


async def test_a_proxy_with_a_prefix(backend: Backend) -> None:
    """Below a prefix, the whole path may be signed, or that from `/apps/` on; nothing else."""
    path = f"/sockets/v1{EVENTS}"
    whole = await backend.request("POST", path, BODY)
    own = await backend.request("POST", path, BODY, signed_path=EVENTS)
    half = await backend.request("POST", path, BODY, signed_path=f"/v1{EVENTS}")
    doubled = await backend.request("POST", f"/apps{EVENTS}", BODY, signed_path=EVENTS)

    assert [200, 200, 401, 200] == [each.status for each in (whole, own, half, doubled)]


async def test_a_path_is_signed_as_it_is_sent_or_as_it_reads(cluster: Cluster) -> None:
    """Some clients escape a path before they sign it, others after."""
    sent = f"{CHANNELS}/a%40b"
    escaped = await cluster.backend.get(sent, signed_path=sent)
    plain = await cluster.backend.get(sent, signed_path=f"{CHANNELS}/a@b")
    other = await cluster.backend.get(sent, signed_path=f"{CHANNELS}/a%2540b")
    user = "/apps/shop/users/a%2Fb/terminate_connections"
    slash = await cluster.backend.post(user, {}, signed_path=user)
    read = await cluster.backend.post(user, {}, signed_path=user.replace("%2F", "/"))

    assert [200, 200, 401] == [each.status for each in (escaped, plain, other)]
    assert [200, 401] == [each.status for each in (slash, read)]


async def test_the_path_of_pythons_sdk(cluster: Cluster) -> None:
    """`/users/{id}/terminate_connections` without the app: its key says which app it is."""
    path = "/users/ada/terminate_connections"
    done = await cluster.backend.post(path, {})
    prefixed = await cluster.backend.post(f"/sockets{path}", {}, signed_path=path)
    unknown = await cluster.backend.post(path, {}, auth_key="nobody")
    forged = await cluster.backend.post(path, {}, secret="x")

    assert [200, 200, 401, 401] == [each.status for each in (done, prefixed, unknown, forged)]


async def test_an_empty_body_needs_no_md5(cluster: Cluster) -> None:
    """Python's SDK sends one for it all the same, which has to be right."""
    path = "/apps/shop/connections"
    without = await cluster.backend.get(path)
    right = await cluster.backend.get(path, body_md5="d41d8cd98f00b204e9800998ecf8427e")
    wrong = await cluster.backend.get(path, body_md5="0" * 32)

    assert [200, 200, 401] == [each.status for each in (without, right, wrong)]


def test_pushers_own_example() -> None:
    """The worked example of Pusher's reference is signed, and no other method or path is."""
    app = App(id="3", key="278d425bdf160c739803", secret=SecretStr("7ad3773142a6692b25b8"))
    parameters = parse_query(
        "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0"
        "&body_md5=ec365a775a4cd0599faeb73354201b6f"
        "&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
    )
    body = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
    check_claims(parameters, 1353088179.0)
    check_signature(app, "POST", ["/apps/3/events"], parameters)
    check_body(body, parameters)

    for method, path in (("GET", "/apps/3/events"), ("POST", "/apps/3/event")):
        with pytest.raises(UnauthorizedError):
            check_signature(app, method, [path], parameters)
