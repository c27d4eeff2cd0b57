"""What is said of the certificates that a process shows."""

from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from pogo.tls import ServerTls
from pogo.tls.watch import CertificateWatch
from tests.tls.authority import Authority


async def test_a_certificate_that_has_expired(authority: Authority) -> None:
    """It is shown, as it is what there is, and said once for each such certificate."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = authority.issue("old", expires=yesterday)
    issued = authority.issue()
    listeners = {
        "http": ServerTls(str(old.certificate), str(old.key)),
        "grpc": ServerTls(str(issued.certificate), str(issued.key)),
    }
    watch = CertificateWatch(listeners, 60.0)
    with capture_logs() as logs:
        await watch.start()
        watch.look()
        authority.issue("old", expires=yesterday - timedelta(days=1))
        watch.look()
        authority.issue("old")
        watch.look()
        await watch.stop()

    expired = [line for line in logs if line["event"] == "certificate has expired"]
    assert ["http", "http"] == [line["listener"] for line in expired]
    assert yesterday.replace(microsecond=0).isoformat() == expired[0]["expires"]
    assert {"warning"} == {line["log_level"] for line in expired}
