"""The settings of TLS on the ports of a node itself."""

from pydantic import ValidationInfo, field_validator

from pogo.settings.group import Group
from pogo.settings.values import Duration


def key_of(certificate: str | None, key: str, name: str) -> str:
    """Return a key if its certificate, the setting `name`, is given too, or neither is.

    Raises:
        ValueError: One is missing.
    """
    if certificate and not key:
        raise ValueError(f"is required with {name}")
    if key and not certificate:
        raise ValueError(f"needs {name} beside it")
    return key


class TlsSettings(Group):
    """TLS. On the ports of the node itself, but for metrics: see [tls.md](tls.md)."""

    tls_cert: str = ""
    """A PEM file with the certificate of this node, and its chain: the ports for WebSocket, HTTP
    and gRPC then speak TLS and nothing else. Empty to leave that to a gateway."""

    tls_key: str = ""
    """A PEM file with its private key, not encrypted."""

    grpc_tls_cert: str = ""
    """Another certificate for gRPC, or one for gRPC alone."""

    grpc_tls_key: str = ""
    """A PEM file with its private key, not encrypted."""

    grpc_tls_client_ca: str = ""
    """A PEM file with authorities: who calls by gRPC then needs a certificate of one of them, and
    publishers their token as well."""

    tls_reload_interval: Duration = 60.0
    """How often the files are read again. What has been replaced is shown to new connections, and
    also on SIGHUP, at once."""

    @field_validator("tls_key")
    @classmethod
    def _with_certificate(cls, key: str, info: ValidationInfo) -> str:
        return key_of(info.data.get("tls_cert"), key, "tls_cert")

    @field_validator("grpc_tls_key")
    @classmethod
    def _with_grpc_certificate(cls, key: str, info: ValidationInfo) -> str:
        return key_of(info.data.get("grpc_tls_cert"), key, "grpc_tls_cert")

    @field_validator("grpc_tls_client_ca")
    @classmethod
    def _with_any_certificate(cls, authorities: str, info: ValidationInfo) -> str:
        if authorities and not (info.data.get("tls_cert") or info.data.get("grpc_tls_cert")):
            raise ValueError("needs tls_cert or grpc_tls_cert")
        return authorities
