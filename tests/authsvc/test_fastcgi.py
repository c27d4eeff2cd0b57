"""The FastCGI protocol, without a server."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.authsvc.errors import AuthError, InvalidAnswerError, UnreachableError
from pogo.authsvc.fastcgi import (
    MAX_COMPLAINT,
    MAX_HEAD,
    ResponseReader,
    encode_params,
    encode_request,
    parse_cgi,
)
from pogo.authsvc.upstream import WorkerAnswer

END, PARAMS, STDIN, STDOUT, STDERR = 3, 4, 5, 6, 7
MAX_BODY = 1000
HEAD = (
    b"Status: 403 Forbidden\r\nSet-Cookie: a=b; Path=/\r\nset-cookie:c=d\r\nRetry-After: 7\r\n\r\n"
)


def _record(kind: int, content: bytes, *, padding: int = 0, request_id: int = 1) -> bytes:
    header = struct.pack("!BBHHBx", 1, kind, request_id, len(content), padding)
    return header + content + bytes(padding)


def _end(status: int = 0, **options: int) -> bytes:
    return _record(END, struct.pack("!IB3x", 0, status), **options)


def _read(data: bytes) -> WorkerAnswer | None:
    return ResponseReader(MAX_BODY).receive(data)


@given(
    body=st.binary(max_size=300),
    complaint=st.text(max_size=50),
    cuts=st.lists(st.integers(1, 400), max_size=8),
    splits=st.lists(st.integers(0, 800), max_size=20),
    padding=st.integers(0, 255),
)
def test_any_pieces(
    body: bytes, complaint: str, cuts: list[int], splits: list[int], padding: int
) -> None:
    """However the output is cut into records, and they into segments, the answer is the same."""
    output, records = HEAD + body, _record(STDERR, complaint.encode(), padding=padding)
    for cut in cuts:
        records += _record(STDOUT, output[:cut], padding=padding)
        output = output[cut:]
    records += _record(STDOUT, output) + _record(STDOUT, b"") + _end(padding=padding)

    reader, answers, start = ResponseReader(MAX_BODY), [], 0
    for split in sorted({split % len(records) for split in splits}):
        answers.append(reader.receive(records[start:split]))
        start = split

    assert [None] * len(answers) == answers
    expected = WorkerAnswer(403, body, ("a=b; Path=/", "c=d"), "7", complaint)
    assert expected == reader.receive(records[start:])


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_garbage(pieces: list[bytes]) -> None:
    """No bytes do worse than to be refused, and none that are no FastCGI are waited for."""
    reader = ResponseReader(MAX_BODY)
    try:
        for piece in pieces:
            reader.receive(piece)
    except AuthError:
        return
    joined = b"".join(pieces)
    assert len(joined) < 8 or joined.startswith(b"\x01")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        _record(STDOUT, HEAD, request_id=2),
        _record(STDOUT, HEAD, request_id=0),
        _record(11, b"\x01" + bytes(7)),
        _record(1, bytes(8)),
        _record(STDIN, b"x"),
        _record(STDOUT, HEAD) + _record(END, bytes(7)),
        _record(STDOUT, HEAD) + _record(END, bytes(9)),
        _record(STDOUT, HEAD) + _end() + b"x",
        _record(STDOUT, HEAD) + _end() + _record(STDOUT, HEAD),
        _end(),
    ],
)
def test_no_answer(data: bytes) -> None:
    """Whatever else a server says."""
    with pytest.raises(InvalidAnswerError):
        _read(data)


@pytest.mark.parametrize("status", [1, 2, 3, 255])
def test_request_not_taken(status: int) -> None:
    """A server that is full, or knows no such role, is one that is not there."""
    with pytest.raises(UnreachableError):
        _read(_end(status))


def test_exit_code_does_not_matter() -> None:
    """PHP's is 255 where a script failed; what it has said counts."""
    end = _record(END, struct.pack("!IB3x", 255, 0))

    assert WorkerAnswer(200, b"x") == _read(_record(STDOUT, b"A: b\r\n\r\nx") + end)


def test_body_as_long_as_it_may_be() -> None:
    """One byte more is too many."""
    right = b"A: b\r\n\r\n" + b"x" * MAX_BODY
    answer = _read(_record(STDOUT, right) + _end())

    assert answer is not None
    assert MAX_BODY == len(answer.body)
    with pytest.raises(InvalidAnswerError):
        _read(_record(STDOUT, right + b"x") + _end())


def test_endless_output() -> None:
    """What is too long is not read to its end, which may never come."""
    reader = ResponseReader(MAX_BODY)
    reader.receive(_record(STDOUT, b"x" * MAX_HEAD))
    reader.receive(_record(STDOUT, b"x" * MAX_BODY))

    with pytest.raises(InvalidAnswerError):
        reader.receive(_record(STDOUT, b"x"))


def test_endless_complaint() -> None:
    """The beginning of it is kept."""
    reader = ResponseReader(MAX_BODY)
    for _ in range(100):
        reader.receive(_record(STDERR, b"e" * 999))
    answer = reader.receive(_record(STDOUT, b"A: b\r\n\r\n") + _end())

    assert answer is not None
    assert "e" * MAX_COMPLAINT == answer.complaint


def test_complaint_without_answer() -> None:
    """It says why there is none."""
    with pytest.raises(InvalidAnswerError) as caught:
        _read(_record(STDERR, b"Access denied\n") + _end())

    assert "Access denied" in caught.value.detail


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Type: a", 200),
        (b"Status: 404", 404),
        (b"status:  422  Unprocessable", 422),
        (b"STATUS: 200 OK\r\nX", 200),
    ],
)
def test_cgi_status(head: bytes, status: int) -> None:
    """It is a header, and 200 where there is none."""
    assert status == parse_cgi(head + b"\r\n\r\n", MAX_BODY).status


@pytest.mark.parametrize(
    "status",
    [b"", b"OK", b"2", b"20", b"2000 OK", b"099", b"600", b"-20", b"\xb2\xb2\xb2", b"200OK"],
)
def test_cgi_without_status(status: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidAnswerError):
        parse_cgi(b"Status: " + status + b"\r\n\r\n", MAX_BODY)


@pytest.mark.parametrize("output", [b"", b"\r\n", b"Status: 200 OK\r\n", b"x", b"A: b\n\nx"])
def test_cgi_without_head(output: bytes) -> None:
    """A script that ended before it had begun."""
    with pytest.raises(InvalidAnswerError):
        parse_cgi(output, MAX_BODY)


def _decode_params(data: bytes) -> list[tuple[bytes, bytes]]:
    """Read what the specification calls name-value pairs."""
    pairs, position = [], 0

    def length() -> int:
        nonlocal position
        if data[position] < 0x80:
            position += 1
            return data[position - 1]
        position += 4
        return int(struct.unpack_from("!I", data, position - 4)[0]) & 0x7FFF_FFFF

    while position < len(data):
        name_length, value_length = length(), length()
        name = data[position : position + name_length]
        position += name_length
        pairs.append((name, data[position : position + value_length]))
        position += value_length
    return pairs


@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ABC_", max_size=200) | st.just("N" * 128),
            st.binary(max_size=300) | st.sampled_from([b"x" * 127, b"x" * 128, b"x" * 70_000]),
        )
    )
)
def test_params(pairs: list[tuple[str, bytes]]) -> None:
    """Names and values of any length come out as they went in, bytes that are no text too."""
    given_pairs = [(name, value.decode(errors="surrogateescape")) for name, value in pairs]

    assert [(name.encode(), value) for name, value in pairs] == _decode_params(
        encode_params(given_pairs)
    )


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
def test_request(size: int) -> None:
    """Streams are cut into records that a length of 16 bits can tell, and end with an empty one."""
    data = encode_request(b"p" * size, b"b" * size)
    contents: dict[int, list[bytes]] = {}
    position = 0
    while position < len(data):
        version, kind, request_id, length, padding = struct.unpack_from("!BBHHBx", data, position)
        assert (1, 1, 0) == (version, request_id, padding)
        position += 8
        contents.setdefault(kind, []).append(data[position : position + length])
        position += length

    assert [bytes((0, 1, 1, 0, 0, 0, 0, 0))] == contents[1]
    for kind, letter in ((PARAMS, b"p"), (STDIN, b"b")):
        assert letter * size == b"".join(contents[kind])
        assert [b""] == [content for content in contents[kind] if not content]
        assert b"" == contents[kind][-1]
