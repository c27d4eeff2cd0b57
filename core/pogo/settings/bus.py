"""The settings of the bus: which server it is, how to log in there, and whom to believe."""

from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from pogo.settings.group import Group
from pogo.settings.tls import key_of
from pogo.settings.values import Addresses, Count, Duration, NatsUrls, RemotePort, Text

_NO_SECRET = SecretStr("")


class BusSettings(Group):
    """The bus between brokers and edges."""

    bus: Literal["memory", "nats", "redis"] = "memory"
    """What carries events. `memory` works only within one process (`pogo serve`)."""

    nats_url: NatsUrls = Field(default=("nats://127.0.0.1:4222",), repr=False)
    """Servers of one NATS cluster, tried in turn. `tls://` insists on TLS; each may hold
    `user:password@` or `token@`, which then count instead of the settings for that."""

    nats_user: str = ""
    """The NATS user, who needs `nats_password`. Only one of user, token, credentials and nkey."""

    nats_password: SecretStr = Field(default=_NO_SECRET, repr=False)
    """The password of that user."""

    nats_token: SecretStr = Field(default=_NO_SECRET, repr=False)
    """The token, where the servers have one for all clients."""

    nats_creds: str = ""
    """A credentials file (`.creds`), with the JWT of a user and the seed of its nkey."""

    nats_nkey: str = ""
    """A file with the seed of a user's nkey (`SU…`)."""

    nats_tls_ca: str = ""
    """A PEM file with the authorities that vouch for the servers; empty for those of the system.
    This and the next two need `tls://` in `nats_url`."""

    nats_tls_cert: str = ""
    """A PEM file with a certificate to show to them, and its chain."""

    nats_tls_key: str = ""
    """A PEM file with its private key, not encrypted."""

    nats_replicas: int = Field(default=0, ge=0, le=5)
    """NATS servers that each hold the state of the cluster (JetStream, in memory). 0 is three where
    the server belongs to a NATS cluster, and else one."""

    nats_registry_bytes: Count = 268_435_456
    """Bytes of memory that the state of the cluster may take on each of them: some 300 for each
    presence member. More is refused, and logged."""

    redis_host: Text = "127.0.0.1"
    """The Redis server. Not used with Sentinel."""

    redis_port: RemotePort = 6379
    """Its port. Not used with Sentinel."""

    redis_user: str = ""
    """The Redis user (ACL); empty for the default user."""

    redis_password: SecretStr = Field(default=_NO_SECRET, repr=False)
    """The Redis password; empty for none."""

    redis_db: int = Field(default=0, ge=0)
    """The Redis database."""

    redis_tls: bool = False
    """Whether to speak TLS to Redis (and to its sentinels)."""

    redis_tls_ca: str = ""
    """A PEM file with the authorities that vouch for them; empty for those of the system. This and
    the next two need `redis_tls`."""

    redis_tls_cert: str = ""
    """A PEM file with a certificate to show to them, and its chain."""

    redis_tls_key: str = ""
    """A PEM file with its private key, not encrypted."""

    redis_sentinels: Addresses = ()
    """Sentinels as `host:port`; when given, they name the Redis server."""

    redis_sentinel_master: Text = "mymaster"
    """The name under which the sentinels know the Redis server."""

    redis_sentinel_password: SecretStr = Field(default=_NO_SECRET, repr=False)
    """The password of the sentinels themselves; empty for none."""

    bus_grace: Duration = 30.0
    """How long an edge keeps its clients while the bus is away. Then it closes them with 4200,
    rather than leave them deaf; most restarts of a bus server are over by then."""

    @field_validator("nats_password")
    @classmethod
    def _of_a_nats_user(cls, password: SecretStr, info: ValidationInfo) -> SecretStr:
        if bool(password.get_secret_value()) != bool(info.data.get("nats_user")):
            raise ValueError("nats_user and nats_password need each other")
        return password

    @field_validator("nats_nkey")
    @classmethod
    def _one_nats_login(cls, nkey: str, info: ValidationInfo) -> str:
        token = info.data.get("nats_token", _NO_SECRET).get_secret_value()
        logins = {"nats_token": token, "nats_nkey": nkey}
        logins |= {name: info.data.get(name) for name in ("nats_user", "nats_creds")}
        given = sorted(name for name, value in logins.items() if value)
        if len(given) > 1:
            raise ValueError(f"only one of {', '.join(given)} can be used")
        return nkey

    @field_validator("nats_tls_ca", "nats_tls_cert")
    @classmethod
    def _with_nats_tls(cls, path: str, info: ValidationInfo) -> str:
        urls = info.data.get("nats_url", ())
        if path and not all(url.startswith("tls://") for url in urls):
            raise ValueError("needs tls:// in nats_url: TLS is not insisted on with nats://")
        return path

    @field_validator("redis_tls_ca", "redis_tls_cert")
    @classmethod
    def _with_redis_tls(cls, path: str, info: ValidationInfo) -> str:
        if path and not info.data.get("redis_tls"):
            raise ValueError("needs redis_tls = true")
        return path

    @field_validator("nats_tls_key")
    @classmethod
    def _with_nats_certificate(cls, key: str, info: ValidationInfo) -> str:
        return key_of(info.data.get("nats_tls_cert"), key, "nats_tls_cert")

    @field_validator("redis_tls_key")
    @classmethod
    def _with_redis_certificate(cls, key: str, info: ValidationInfo) -> str:
        return key_of(info.data.get("redis_tls_cert"), key, "redis_tls_cert")
