"""When a certificate ends: the one field of it that operators need, read without a library.

A certificate is nested values of DER (X.690): a tag, a length, and the value. In one (RFC 5280,
section 4.1) the end of its validity is the second time in the fifth value of its first part, or in
the fourth where it does not say its version.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"

_VERSION = 0xA0
_UTC_TIME = 0x17
_LONG = 0x80
_VALIDITY = 3
"""The place of the validity among the values of a certificate, after the version."""


def expiry(certificate: bytes) -> datetime:
    """Return when the first certificate of a chain in PEM ends.

    Raises:
        ValueError: It is no certificate.
    """
    try:
        text = certificate.decode("ascii", errors="replace")
        block = text[text.index(_BEGIN) : text.index(_END) + len(_END)]
        ((_, whole),) = _values(ssl.PEM_cert_to_DER_cert(block))
        body = list(_values(next(_values(whole))[1]))
        fields = body[1:] if body[0][0] == _VERSION else body
        _, (tag, end) = _values(fields[_VALIDITY][1])
        form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        return datetime.strptime(end.decode(), form).replace(tzinfo=UTC)
    except (IndexError, StopIteration, ValueError) as error:
        raise ValueError("this is no certificate") from error


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each value, one after the other."""
    start = 0
    while start < len(der):
        tag, size = der[start], der[start + 1]
        start += 2
        if size >= _LONG:
            digits = size - _LONG
            size = int.from_bytes(der[start : start + digits])
            start += digits
        yield tag, der[start : start + size]
        start += size
