import errno
import os
import socket
import sys
from array import array
from collections.abc import Iterator

import pytest

from pogo.edge.sending import PURE_PYTHON, SendAll, choose_send_all, send_all_in_python
from tests.edge.speedups import compiled_speedups

DATA = b"hello"


@pytest.fixture(name="send_all", params=["python", "c"])
def _send_all(request: pytest.FixtureRequest) -> SendAll:
    """Return one of the twins: each test is for both."""
    if request.param == "python":
        return send_all_in_python
    loop: SendAll = compiled_speedups().send_all
    return loop


@pytest.fixture(name="pairs")
def _pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Make five connected sockets that do not block, each with its other end."""
    pairs = [socket.socketpair() for _ in range(5)]
    for pair in pairs:
        for end in pair:
            end.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    yield pairs
    for pair in pairs:
        for end in pair:
            end.close()


def _descriptors(pairs: list[tuple[socket.socket, socket.socket]]) -> "array[int]":
    return array("i", [ours.fileno() for ours, _ in pairs])


def _fill(sock: socket.socket) -> int:
    """Write until the kernel takes no more; returns the number of bytes."""
    filled = 0
    try:
        while True:
            filled += sock.send(b"x" * 4096)
    except BlockingIOError:
        return filled


def test_all_take_everything(
    send_all: SendAll, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """Where every socket has room, there is nothing to report."""
    assert not send_all(_descriptors(pairs), DATA)
    assert [DATA] * 5 == [theirs.recv(100) for _, theirs in pairs]


def test_nobody(send_all: SendAll) -> None:
    """No sockets are no trouble."""
    assert not send_all(array("i"), DATA)


def test_some_are_full(send_all: SendAll, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A full socket takes nothing, and does not hold up those behind it."""
    for position in (0, 2, 4):
        _fill(pairs[position][0])

    assert [(0, 0), (2, 0), (4, 0)] == list(send_all(_descriptors(pairs), DATA))
    assert [DATA] * 2 == [pairs[position][1].recv(100) for position in (1, 3)]


def test_one_takes_a_part(
    send_all: SendAll, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """What a socket took of too large a message is told to the byte."""
    data = os.urandom(4_000_000)
    ours, theirs = pairs[0]
    [(position, taken)] = send_all(array("i", [ours.fileno()]), data)
    received = b""
    while len(received) < taken:
        received += theirs.recv(1 << 20)

    assert 0 == position
    assert 0 < taken < len(data)
    assert data[:taken] == received
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_some_are_gone(send_all: SendAll, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A socket whose other end is closed has an errno, and so has what is no socket."""
    pairs[1][1].close()
    descriptors = _descriptors(pairs)
    descriptors[3] = -1

    assert [(1, -errno.EPIPE), (3, -errno.EBADF)] == list(send_all(descriptors, DATA))
    assert [DATA] * 3 == [pairs[position][1].recv(100) for position in (0, 2, 4)]


def test_every_kind_at_once(
    send_all: SendAll, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """Positions stay right, whatever comes before."""
    pairs[0][1].close()
    _fill(pairs[1][0])
    _fill(pairs[4][0])
    expected = [(0, -errno.EPIPE), (1, 0), (4, 0)]

    assert expected == list(send_all(_descriptors(pairs), DATA))
    assert expected == list(send_all(_descriptors(pairs), DATA))
    assert [DATA * 2] * 2 == [pairs[position][1].recv(100) for position in (2, 3)]


def test_many(send_all: SendAll, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """One socket as often as a large channel has subscribers gets it as often."""
    ours, theirs = pairs[0]
    assert not send_all(array("i", [ours.fileno()] * 200), b"x")
    assert b"x" * 200 == theirs.recv(1000)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (array("i"),),
        (array("i"), b"", b""),
        ([1], b""),
        (array("l"), b""),
        (b"abcd", b""),
        (array("i"), "text"),
    ],
)
def test_arguments_of_the_loop_in_c(arguments: tuple[object, ...]) -> None:
    """What is no array of C ints, or no bytes, is refused."""
    with pytest.raises(TypeError):
        compiled_speedups().send_all(*arguments)


@pytest.mark.parametrize("outcome", ["returned", "refused"])
def test_arguments_are_given_back(outcome: str) -> None:
    """The loop in C holds on to nothing, whether or not it liked what it got."""
    descriptors, data = array("i", [-1]), bytearray(b"hello")
    send_all = compiled_speedups().send_all
    if outcome == "returned":
        send_all(descriptors, data)
    else:
        with pytest.raises(TypeError):
            send_all(descriptors, "text")
        with pytest.raises(TypeError):
            send_all(data, data)
    descriptors.append(1)
    data.append(1)


def test_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop in C is used where it is installed, unless the environment forbids it."""
    monkeypatch.setitem(sys.modules, "pogo_speedups", compiled_speedups())
    assert compiled_speedups().send_all is choose_send_all({})
    assert send_all_in_python is choose_send_all({PURE_PYTHON: "1"})
    monkeypatch.setitem(sys.modules, "pogo_speedups", None)
    assert send_all_in_python is choose_send_all({})
