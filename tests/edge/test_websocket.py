import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

from pogo.edge.websocket import MAX_CLOSE_REASON, FrameReaders, close_reason, frame_text


def _messages(reader: ServerProtocol) -> list[bytes]:
    return [bytes(frame.data) for frame in reader.events_received() if isinstance(frame, Frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_frames(size: int) -> None:
    """Every length class is what websockets writes."""
    message = b"x" * size

    assert Frame(Opcode.TEXT, message).serialize(mask=False) == frame_text(message)


def test_close_reason_fits() -> None:
    """A long reason is cut between characters."""
    assert "short" == close_reason("short")
    assert MAX_CLOSE_REASON - 1 == len(close_reason("ü" * 100).encode())


def test_a_reader_comes_back_between_messages_only() -> None:
    """A reader is shared as long as it knows nothing of anybody's message."""
    frame = Frame(Opcode.TEXT, b"hello").serialize(mask=True)
    readers = FrameReaders(1000)
    for end in range(len(frame)):
        reader = readers.take()
        reader.receive_data(frame[:end])
        assert readers.give_back(reader) == (end == 0)
        reader = readers.take()
        reader.receive_data(frame)
        assert [b"hello"] == _messages(reader)
        assert readers.give_back(reader)


def test_a_reader_within_a_fragmented_message_stays() -> None:
    """Between two fragments a reader knows that more has to come."""
    readers = FrameReaders(1000)
    reader = readers.take()
    reader.receive_data(Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=True))
    assert not readers.give_back(reader)
    reader.receive_data(Frame(Opcode.CONT, b"b").serialize(mask=True))
    assert readers.give_back(reader)


def test_a_closed_reader_is_not_shared() -> None:
    """After a close frame or a violation a reader is of no use to anyone else."""
    for data in (Frame(Opcode.CLOSE, b"").serialize(mask=True), b"\x83\x80\0\0\0\0"):
        readers = FrameReaders(1000)
        reader = readers.take()
        reader.receive_data(data)
        assert not readers.give_back(reader)


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_messages_survive_any_cut(messages: list[bytes], data: st.DataObject) -> None:
    """However the stream is cut, and whoever reads in between, the messages are the same."""
    stream = b"".join(Frame(Opcode.TEXT, m).serialize(mask=True) for m in messages)
    readers = FrameReaders(1000)
    read: list[bytes] = []
    own = None
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        reader = own or readers.take()
        reader.receive_data(stream[:cut])
        read += _messages(reader)
        own = None if readers.give_back(reader) else reader
        stream = stream[cut:]

    assert messages == read
    assert own is None


@given(message=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4))
def test_a_whole_message_needs_no_reader(message: bytes, mask: bytes) -> None:
    """A text frame that came in one piece is read as `websockets` reads it."""
    size = len(message)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    data = b"\x81" + length + mask + apply_mask(message, mask)
    readers = FrameReaders(300)
    reader = readers.take()
    reader.receive_data(data)

    assert [message] == _messages(reader)
    assert message == readers.whole_message(data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 300, 65_535])
def test_a_whole_message_of_every_length_class(size: int) -> None:
    """Where the length takes another form, and up to the largest that is allowed."""
    message = b"x" * size
    data = Frame(Opcode.TEXT, message).serialize(mask=True)

    assert message == FrameReaders(65_535).whole_message(data)


@given(data=st.binary(max_size=40))
def test_anything_else_needs_a_reader(data: bytes) -> None:
    """What is taken for a whole message is one."""
    message = FrameReaders(20).whole_message(b"\x81" + data)
    reader = FrameReaders(20).take()
    reader.receive_data(b"\x81" + data)
    if message is not None:
        assert [message] == _messages(reader)
        assert reader.state is OPEN


_HELLO = Frame(Opcode.TEXT, b"hello").serialize(mask=True)
_NOT_WHOLE = {
    "nothing": b"",
    "a byte": b"\x81",
    "a part": _HELLO[:-1],
    "more than one": _HELLO + b"\x81",
    "not masked": Frame(Opcode.TEXT, b"hello").serialize(mask=False),
    "a fragment": Frame(Opcode.TEXT, b"hello", fin=False).serialize(mask=True),
    "a reserved bit": b"\xc1" + _HELLO[1:],
    "binary": Frame(Opcode.BINARY, b"hello").serialize(mask=True),
    "a ping": Frame(Opcode.PING, b"hello").serialize(mask=True),
    "too large": Frame(Opcode.TEXT, b"x" * 1001).serialize(mask=True),
    "much too large": Frame(Opcode.TEXT, b"x" * 65_536).serialize(mask=True),
    "as long as its marker": b"\x81\xff" + bytes(4) + b"x" * 127,
}


@pytest.mark.parametrize("data", _NOT_WHOLE.values(), ids=_NOT_WHOLE)
def test_what_is_not_a_whole_message(data: bytes) -> None:
    """A part, more than one frame, another kind of frame, and what is not allowed."""
    assert FrameReaders(1000).whole_message(data) is None
