"""Certificates replaced while servers run: whoever renews them need not tell anybody."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from pogo.tls.errors import TlsError
from pogo.tls.server import ServerTls

log = structlog.get_logger()


class CertificateWatch:
    """Reads the files of listeners again now and then, and has them show what is new.

    The files are read in the event loop: they are few, small, and on a local disk.
    """

    def __init__(self, listeners: Mapping[str, ServerTls], interval: float) -> None:
        """Watch the listeners by their names; `interval` is in seconds."""
        self._listeners = listeners
        self._interval = interval
        # What was wrong with each when it was last looked at, so that it is logged once.
        self._wrong: dict[str, str] = {}
        # The end of what each shows, if that is over and has been logged.
        self._expired: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        if self._listeners:
            self._tell_expired()
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def look(self) -> None:
        """Read all files now. What cannot be used is logged, and what was shown goes on."""
        for name, listener in self._listeners.items():
            problem = _reload(name, listener)
            if problem and problem != self._wrong.get(name):
                log.error(
                    "certificate not replaced, the old one stays", listener=name, reason=problem
                )
            self._wrong[name] = problem
        self._tell_expired()

    def _tell_expired(self) -> None:
        for name, listener in self._listeners.items():
            expires = listener.identity.expires
            if expires <= datetime.now(UTC) and expires != self._expired.get(name):
                self._expired[name] = expires
                log.warning("certificate has expired", listener=name, expires=expires.isoformat())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                self.look()
            except Exception:
                # A safety net: whatever went wrong, the next look may not.
                log.exception("certificates could not be looked at")


def _reload(name: str, listener: ServerTls) -> str:
    """Have a listener take what is new; returns what is wrong with its files."""
    try:
        if listener.reload():
            expires = listener.identity.expires.isoformat()
            log.info("certificate replaced", listener=name, expires=expires)
    except TlsError as error:
        return str(error)
    return ""
