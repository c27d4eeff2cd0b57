"""What both clients are made of."""

import grpc

from pogo.client.config import find_configuration
from pogo.client.tls import find_tls
from pogo.client.tokens import TokenMinter


class BaseClient:
    """One app at one broker, and how to get there.

    What is not given as an argument comes from the environment, or from a `pogo serve` that runs on
    this machine without configuration.

    Args:
        target: The broker as `HOST:PORT`; else `POGO_BROKER`, else 127.0.0.1:50051.
        app_id: The app to publish to; else `POGO_APP_ID` or `WS_APP_ID`.
        key: Its key; else `POGO_APP_KEY`, else the app id.
        secret: Its secret; else `POGO_APP_SECRET` or `WS_APP_SECRET`.
        timeout: Seconds that a call may take.
        secure: Whether to speak TLS; else `POGO_TLS`.
        root_certificates: The authorities to trust, in PEM, instead of gRPC's own; else the files
            `POGO_CA_FILE` or `SSL_CERT_FILE`. This and `POGO_CA_FILE` imply TLS.
        certificate_chain: A certificate to show to the broker, and its chain, in PEM; else the file
            `POGO_CLIENT_CERT`.
        private_key: Its private key, in PEM; else the file `POGO_CLIENT_KEY`.

    Raises:
        ConfigurationError: There is no secret anywhere, or no app id for it, or a file that TLS
            needs cannot be read.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        app_id: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        timeout: float = 2.0,
        secure: bool | None = None,
        root_certificates: bytes | None = None,
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
    ) -> None:
        self._configuration = find_configuration(target, app_id, key, secret)
        self._tokens = TokenMinter(self._configuration)
        self._timeout = timeout
        self._tls = find_tls(
            secure=secure if secure is not None else self._configuration.tls or None,
            root_certificates=root_certificates,
            certificate_chain=certificate_chain,
            private_key=private_key,
        )

    def __repr__(self) -> str:
        app = self._configuration
        return f"{type(self).__name__}({app.target!r}, app_id={app.app_id!r})"

    @property
    def _app_id(self) -> str:
        return self._configuration.app_id

    def _credentials(self) -> grpc.ChannelCredentials | None:
        """Return what TLS needs; `None` to do without."""
        tls = self._tls
        if tls is None:
            return None
        return grpc.ssl_channel_credentials(
            tls.root_certificates, tls.private_key, tls.certificate_chain
        )
