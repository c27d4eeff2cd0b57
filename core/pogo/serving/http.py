"""What HTTP servers need beside aiohttp."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_CLIENT_FAULTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
"""What a request that cannot be read, or whose client went away, raises in aiohttp."""


def client_fault_filter(record: logging.LogRecord) -> bool:
    """Whether a record is about more than a request that could not be read.

    A filter for the logger of a server: aiohttp logs what a client gets wrong as its own error.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_FAULTS))
