import json
import struct
from collections.abc import Iterator

import pytest

from tests.php_worker.conftest import Files, Start
from tests.php_worker.fastcgi import (
    ABORT_REQUEST,
    BEGIN_REQUEST,
    END_REQUEST,
    GET_VALUES,
    GET_VALUES_RESULT,
    KEEP_CONN,
    PARAMS,
    RESPONDER,
    STDIN,
    FastCgi,
    Record,
    encode_pairs,
    encode_request,
)
from tests.php_worker.worker import SOCKET_ID, Worker, post, process, sign, until

BODY = f"socket_id={SOCKET_ID}&channel_name=private-free".encode()
BEGIN = struct.pack("!HB5x", RESPONDER, KEEP_CONN)


@pytest.fixture(name="worker")
def _worker(start: Start) -> Worker:
    """One process, so that what happens to it is seen by the next request."""
    return start("--workers=1")


@pytest.fixture(name="pid")
def _pid(worker: Worker) -> Iterator[int]:
    """Return the process, which must be the same when the test is over."""
    with FastCgi(worker.address) as client:
        before, _ = process(client)
    yield before
    with FastCgi(worker.address) as client:
        after, _ = process(client)

    assert before == after


@pytest.mark.usefixtures("pid")
def test_bytes_one_by_one(worker: Worker) -> None:
    """A request may come in any pieces, and be padded."""
    with FastCgi(worker.address) as client:
        for byte in encode_request(post(), BODY):
            client.send(bytes([byte]))
        answer = client.answer()

        assert answer is not None
        assert 200 == answer.status


@pytest.mark.usefixtures("pid")
def test_pipelining(worker: Worker) -> None:
    """Requests that are sent ahead are answered in their order, each by its id."""
    with FastCgi(worker.address) as client:
        requests = [encode_request(post(), BODY, request=number) for number in (1, 2, 3)]
        client.send(b"".join(requests))
        answers = [client.answer(number) for number in (1, 2, 3)]

        assert [200, 200, 200] == [answer.status for answer in answers if answer]


@pytest.mark.usefixtures("pid")
def test_multiplexing(worker: Worker) -> None:
    """A second request among the records of the first is refused with CANT_MPX_CONN."""
    with FastCgi(worker.address) as client:
        client.send(
            Record(BEGIN_REQUEST, 1, BEGIN).encode() + Record(BEGIN_REQUEST, 2, BEGIN).encode()
        )

        assert Record(END_REQUEST, 2, b"\0\0\0\0\1\0\0\0") == client.record()

        client.send(Record(PARAMS, 1, encode_pairs(post())).encode() + Record(PARAMS, 1).encode())
        client.send(Record(STDIN, 1, BODY).encode(padding=3) + Record(STDIN, 1).encode())
        answer = client.answer()

        assert answer is not None
        assert 200 == answer.status


@pytest.mark.usefixtures("pid")
def test_values(worker: Worker) -> None:
    """A server may ask how many connections there can be, and whether requests may be mixed."""
    with FastCgi(worker.address) as client:
        asked = {"FCGI_MAX_CONNS": "", "FCGI_MAX_REQS": "", "FCGI_MPXS_CONNS": ""}
        client.send(Record(GET_VALUES, 0, encode_pairs(asked)).encode())
        expected = {"FCGI_MAX_CONNS": "1", "FCGI_MAX_REQS": "1", "FCGI_MPXS_CONNS": "0"}

        assert Record(GET_VALUES_RESULT, 0, encode_pairs(expected)) == client.record()


@pytest.mark.usefixtures("pid")
def test_abort(worker: Worker) -> None:
    """A request that is aborted while it comes in is ended, and the connection goes on."""
    with FastCgi(worker.address) as client:
        client.send(Record(BEGIN_REQUEST, 1, BEGIN).encode())
        client.send(Record(ABORT_REQUEST, 1).encode())

        assert Record(END_REQUEST, 1, bytes(8)) == client.record()
        assert 200 == sign(client, "private-free").status


@pytest.mark.usefixtures("pid")
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        b"\xff" * 64,
        Record(BEGIN_REQUEST, 1, b"").encode(),
        Record(BEGIN_REQUEST, 1, BEGIN).encode() + Record(STDIN, 1, b"x").encode(),
        Record(BEGIN_REQUEST, 1, BEGIN).encode() + Record(PARAMS, 1, b"x" * 0xFFFF).encode() * 2,
        encode_request(post(), BODY)[:-8] + b"\x09" * 64,
    ],
    ids=["http", "noise", "short", "disorder", "oversized", "noise-within"],
)
def test_violations(worker: Worker, data: bytes) -> None:
    """Who breaks the protocol is cut off, and harms nobody else."""
    with FastCgi(worker.address) as client:
        client.send(data)

        assert client.record() is None
    assert "a connection was closed" in worker.log.read_text()


def _leave(worker: Worker, files: Files, channel: str) -> None:
    """Close the connection while a request is in hand."""
    with FastCgi(worker.address) as client:
        body = f"socket_id={SOCKET_ID}&channel_name={channel}".encode()
        client.send(encode_request({**post(), "CONTENT_LENGTH": str(len(body))}, body))
        until(lambda: files.has_begun(channel))
    files.go(channel)


@pytest.mark.usefixtures("pid")
def test_client_leaves(worker: Worker, files: Files) -> None:
    """A client that is gone before its answer is there harms nobody."""
    _leave(worker, files, "private-wait-1")


@pytest.mark.usefixtures("pid")
def test_broken_pipe_where_the_application_throws_warnings(worker: Worker, files: Files) -> None:
    """An error handler that makes exceptions of all warnings does not end the process either."""
    with FastCgi(worker.address) as client:
        assert 200 == sign(client, "private-thrower").status
    _leave(worker, files, "private-wait-1")
    with FastCgi(worker.address) as client:
        assert 200 == sign(client, "private-free").status


def test_slow_request(start: Start) -> None:
    """A request that does not arrive within seconds is given up, with its connection."""
    worker = start("--workers=1")
    with FastCgi(worker.address) as client:
        client.send(Record(BEGIN_REQUEST, 1, BEGIN).encode())

        assert client.record() is None


def test_idle_connection(start: Start) -> None:
    """A connection without requests is closed, and makes room for the next one."""
    worker = start("--workers=1", "--idle-timeout=1")
    with FastCgi(worker.address) as idle, FastCgi(worker.address) as waiting:
        assert 200 == sign(waiting, "private-free").status
        assert idle.record() is None


def test_one_connection_for_each_process(start: Start) -> None:
    """As many connections as processes are served at a time; one more waits for one that ends."""
    worker = start("--workers=2")
    with FastCgi(worker.address) as first, FastCgi(worker.address) as second:
        pids = {process(first)[0], process(second)[0]}

        assert set(worker.children) == pids
        with FastCgi(worker.address) as third:
            third.send(encode_request(post(), BODY))
            first.close()
            answer = third.answer()
            assert answer is not None
            assert 200 == answer.status


def test_many_clients(start: Start) -> None:
    """Processes share the work of clients that come and go."""
    worker = start("--workers=3")
    for _ in range(100):
        with FastCgi(worker.address) as client:
            assert 200 == sign(client, "private-free", keep=False).status

    assert "ended" not in worker.log.read_text()


def test_sessions(start: Start) -> None:
    """PHP's own sessions are found again, and nobody goes on with another one's."""
    worker = start("--workers=1")
    with FastCgi(worker.address) as client:

        def name(channel: str, cookie: str) -> str:
            data = json.loads(sign(client, channel, cookie).body)["channel_data"]
            return str(json.loads(data)["user_id"])

        for _ in range(3):
            assert "ada" == name("presence-session", "session=a1; name=ada")
            assert "nobody" == name("presence-nosession", "")
            assert "bob" == name("presence-session", "session=b2; name=bob")
            assert "ada" == name("presence-session", "session=a1; name=eve")
