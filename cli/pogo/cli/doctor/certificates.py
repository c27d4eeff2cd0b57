"""The files of TLS: whether they can be used, for how long, and for which names."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pogo.cli.doctor.findings import Finding, ok, skipped, warning, worst, wrong
from pogo.cli.tls import exposed_keys
from pogo.settings import Settings
from pogo.tls import ClientTls, ServerTls, TlsError
from pogo.tls.expiry import expiry

SOON = timedelta(days=14)
"""How long before its end a certificate is worth a warning."""

_CLIENTS = ("nats_tls", "redis_tls", "auth_service_tls")
_LISTENERS = ("tls", "grpc_tls")


async def check_certificates(settings: Settings) -> Finding:
    """Look at all files of TLS that the settings name."""
    findings = [*_listeners(settings), *_clients(settings)]
    findings += [
        warning(exposed.rpartition(": ")[0], exposed.rpartition(": ")[2])
        for exposed in exposed_keys(settings)
    ]
    if not findings:
        return skipped("the settings name no file of TLS: ports of Pogo itself speak none")
    return worst(findings)


def judge_end(name: str, end: datetime, now: datetime) -> Finding:
    """Judge when a certificate ends."""
    left = end - now
    day = end.date().isoformat()
    if left <= timedelta():
        return wrong(f"{name}: has ended on {day}", "renew it; running nodes take a new one up")
    if left < SOON:
        return warning(f"{name}: ends on {day}, in {left.days} days", "renew it")
    return ok(f"{name}: good until {day}")


def _listeners(settings: Settings) -> Iterator[Finding]:
    for prefix in _LISTENERS:
        certificate, key = (getattr(settings, f"{prefix}_{part}") for part in ("cert", "key"))
        if certificate:
            yield _listener(f"{prefix}_cert", certificate, key)
    if settings.grpc_tls_client_ca:
        yield _client("grpc_tls_client_ca", ClientTls(settings.grpc_tls_client_ca))


def _listener(name: str, certificate: str, key: str) -> Finding:
    try:
        tls = ServerTls(certificate, key)
    except TlsError as error:
        return wrong(f"{name}: {error}", "no service starts with it: mend the file or the setting")
    found = judge_end(name, tls.identity.expires, datetime.now(UTC))
    if found.stands_in_the_way:
        return found
    try:
        names = _names_shown(tls, certificate)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason
        return wrong(f"{name}: no client will believe it: {reason}", "have another one issued")
    if not names:
        return wrong(
            f"{name}: is for no name, and clients look nowhere else",
            "have one issued with the names of your site as subjectAltName",
        )
    return Finding(found.result, f"{found.text}, for {', '.join(names)}", found.advice)


def _clients(settings: Settings) -> Iterator[Finding]:
    for prefix in _CLIENTS:
        ca, certificate, key = (getattr(settings, f"{prefix}_{n}") for n in ("ca", "cert", "key"))
        if ca:
            yield _client(f"{prefix}_ca", ClientTls(ca))
        if certificate:
            yield _client(f"{prefix}_cert", ClientTls("", certificate, key))


def _client(name: str, tls: ClientTls) -> Finding:
    try:
        tls.context()
        end = expiry(Path(tls.certificate or tls.ca).read_bytes())
    except TlsError as error:
        return wrong(f"{name}: {error}", "no service starts with it: mend the file or the setting")
    except (OSError, ValueError) as error:
        return wrong(f"{name}: {error}", "have another file made")
    return judge_end(name, end, datetime.now(UTC))


def _names_shown(tls: ServerTls, certificate: str) -> list[str]:
    """Return the names in a certificate, as a client sees them that believes in it alone.

    Raises:
        ssl.SSLError: No client could believe it: it is for something else, or not good yet.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server)
    server = tls.context.wrap_bio(to_server, to_client, server_side=True)
    waits = True
    while waits:
        waits = False
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                waits = True
    shown = client.getpeercert() or {}
    return [str(name[1]) for name in shown.get("subjectAltName", ())]
