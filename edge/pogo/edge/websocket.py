"""WebSocket frames: written by hand for everyone at once, read by `websockets`' sans-I/O layer.

A server's frames are not masked, so a message is framed once and the same bytes go to every
subscriber (RFC 6455, section 5.1).
"""

import logging
from collections import deque
from types import GeneratorType

from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

PING = b"\x89\x00"
"""A ping frame without a payload."""

MAX_CLOSE_REASON = 123
"""Bytes: a control frame carries 125, and the code takes 2 (RFC 6455, section 5.5)."""

_TEXT = 0x81
# In the second byte: that a mask follows, and that the size comes in two bytes of its own.
_MASKED = 0x80
_MEDIUM = 126
# Bytes of a mask, and of the least that may come before a message.
_MASK = 4
_MASKED_HEAD = 6
_MAX_SHORT = 125
_MAX_MEDIUM = 0xFFFF

_AT_FRAME = StreamReader.at_eof.__code__

# It would log every connection at info; only its own failures are of interest here.
_LOGGER = logging.getLogger("pogo.edge.websockets")
_LOGGER.setLevel(logging.ERROR)


def frame_text(message: bytes) -> bytes:
    """Frame one text message (RFC 6455, section 5.2)."""
    size = len(message)
    if size <= _MAX_SHORT:
        return bytes((_TEXT, size)) + message
    if size <= _MAX_MEDIUM:
        return bytes((_TEXT, _MEDIUM)) + size.to_bytes(2, "big") + message
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + message


def close_reason(text: str) -> str:
    """Shorten a reason to what fits into a close frame."""
    return text.encode()[:MAX_CLOSE_REASON].decode(errors="ignore")


def new_handshake() -> ServerProtocol:
    """Make the reader of one handshake."""
    return ServerProtocol(logger=_LOGGER)


class FrameReaders:
    """Readers of frames, lent to connections while they have an incomplete frame.

    A reader costs kilobytes, and between frames it knows nothing of its connection: those that
    read complete frames, as nearly all do at every time, share one.
    """

    __slots__ = ("_idle", "_max_size")

    _MAX_IDLE = 64

    def __init__(self, max_message_size: int) -> None:
        """Make readers that refuse larger messages (in bytes) with the close code 1009."""
        self._max_size = max_message_size
        self._idle: deque[ServerProtocol] = deque(maxlen=self._MAX_IDLE)

    def whole_message(self, data: bytes) -> bytes | None:
        """Return the text message that is all there is in the data, as it nearly always is.

        `None` for anything else, which only a reader understands: a part of a frame, several
        frames, control frames, or what is not allowed (RFC 6455, section 5.2).
        """
        # Complete, without reserved bits, and masked.
        if len(data) < _MASKED_HEAD or data[0] != _TEXT or data[1] < _MASKED:
            return None
        size, start = data[1] - _MASKED, 2
        if size == _MEDIUM:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size > _MEDIUM:
            return None
        body = start + _MASK
        if len(data) != body + size or size > self._max_size:
            return None
        return apply_mask(data[body:], data[start:body])

    def take(self) -> ServerProtocol:
        """Lend a reader that is at the beginning of a frame."""
        if self._idle:
            return self._idle.pop()
        return ServerProtocol(state=OPEN, max_size=self._max_size, logger=_LOGGER)

    def give_back(self, reader: ServerProtocol) -> bool:
        """Take a reader back if it is between two messages; otherwise the connection keeps it."""
        if not _between_messages(reader):
            return False
        self._idle.append(reader)
        return True


def _between_messages(reader: ServerProtocol) -> bool:
    """Whether everything that was fed has been read, up to the end of a message."""
    if reader.state is not OPEN or reader.current_size is not None:
        # It is closed, or a fragmented message has begun.
        return False
    # The parser is a generator that waits, somewhere within, for the first byte of a frame or for
    # the rest of one.
    waiting: object = reader.parser
    while isinstance(waiting, GeneratorType) and waiting.gi_yieldfrom is not None:
        waiting = waiting.gi_yieldfrom
    return isinstance(waiting, GeneratorType) and waiting.gi_code is _AT_FRAME
