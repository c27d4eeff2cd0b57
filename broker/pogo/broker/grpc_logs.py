"""Keeps callers' faults out of the log of errors."""

import logging

from google.protobuf.message import DecodeError


class _NotOurFault(logging.Filter):
    """Drops bytes that are no message: gRPC answers them, and logs them like a bug of the server.

    They come before any authentication, so anyone could fill the log with tracebacks.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, DecodeError)


_filter = _NotOurFault()


def quiet_callers_faults() -> None:
    """Filter gRPC's logger, once for the process."""
    # The logger's name is gRPC's own affair: `tests/broker/test_grpc.py` says when it changes.
    logging.getLogger("grpc._cython.cygrpc").addFilter(_filter)
