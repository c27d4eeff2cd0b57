"""Whether anything listens where a service is tried, and whom it shows itself to be."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from pogo.bus.connection import describe
from pogo.cli.doctor.findings import Finding, FoundError, skipped, wrong
from pogo.cli.doctor.targets import Place
from pogo.tls import TlsError


@dataclass(frozen=True, slots=True)
class Service:
    """What is tried somewhere."""

    place: Place
    what: str
    """What should listen there: `an edge`."""
    flag: str
    """The flag that names another place."""

    def absent(self, reason: str) -> Finding:
        """Say that it is not there, for a reason; who is looked for only may be elsewhere."""
        if not self.place.is_named:
            return skipped(f"{self.what} is not to be found at {self.place}", self._elsewhere)
        return wrong(
            f"no connection to {self.place}: {reason}",
            f"start {self.what} there; see the address it listens on (`host`), firewalls, "
            f"and {self.flag}",
        )

    def another(self, text: str, advice: str) -> Finding:
        """Say that something else listens there, which is wrong only where the place was named."""
        if not self.place.is_named:
            return skipped(f"what listens at {self.place} is not {self.what}", self._elsewhere)
        return wrong(text, advice)

    async def require_listener(self) -> None:
        """See that something listens there.

        Raises:
            FoundError: Nothing does.
        """
        try:
            _, writer = await asyncio.open_connection(self.place.host, self.place.port)
        except OSError as error:
            raise FoundError(self.absent(error.strerror or describe(error))) from error
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    @contextlib.contextmanager
    def connecting(self, *errors: type[Exception]) -> Iterator[None]:
        """Turn what keeps a connection from being made, or breaks it, into a finding.

        Args:
            errors: What a client library raises for that, beside the system's own.

        Raises:
            FoundError: There is no connection any more.
        """
        caught: tuple[type[Exception], ...] = (OSError, *errors)
        try:
            yield
        except TlsError as error:
            raise FoundError(wrong(str(error), "see --ca and the files of TLS")) from error
        except caught as error:
            # aiohttp wraps those of TLS.
            cause = getattr(error, "certificate_error", error)
            if isinstance(cause, ssl.SSLError):
                raise FoundError(self._not_believed(cause)) from error
            raise FoundError(self.absent(describe(error))) from error

    @property
    def _elsewhere(self) -> str:
        return f"name one with {self.flag}"

    def _not_believed(self, error: ssl.SSLError) -> Finding:
        if isinstance(error, ssl.SSLCertVerificationError):
            return wrong(
                f"the certificate of {self.place} is not to be believed: {error.verify_message}",
                "name its authority with --ca, or have one issued that is good for this name",
            )
        return wrong(
            f"{self.place} does not speak TLS as it should: {describe(error)}",
            "use http:// if it speaks none, or look at its certificate",
        )
