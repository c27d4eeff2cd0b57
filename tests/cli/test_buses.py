import sys

import pytest
from pydantic import SecretStr

from pogo.bus.memory import MemoryBus
from pogo.bus.nats import NatsBus
from pogo.bus.redis import RedisBus, RedisOptions
from pogo.cli.buses import (
    open_bus,
    open_cache,
    open_records,
    open_registry,
    open_webhook_store,
    redis_options,
)
from pogo.cli.errors import UsageError
from pogo.records.memory import MemoryRecords
from pogo.records.nats import NatsRecords
from pogo.records.redis import RedisRecords
from pogo.registry.memory import MemoryRegistry
from pogo.registry.nats import NatsRegistry
from pogo.registry.redis import RedisRegistry
from pogo.settings import Settings
from pogo.webhooks import WebhookStore
from pogo.webhooks.memory import MemoryWebhookStore
from pogo.webhooks.nats import NatsWebhookStore
from pogo.webhooks.redis import RedisWebhookStore


@pytest.mark.parametrize(
    ("settings", "adapters"),
    [
        (Settings(bus="memory"), (MemoryBus, MemoryRegistry, MemoryRecords, MemoryRecords)),
        (Settings(bus="nats"), (NatsBus, NatsRegistry, NatsRecords, NatsRecords)),
        (Settings(bus="redis"), (RedisBus, RedisRegistry, RedisRecords, RedisRecords)),
    ],
)
def test_each_setting_has_its_adapters(settings: Settings, adapters: tuple[type, ...]) -> None:
    """None of them connects before it is started."""
    assert adapters == tuple(
        type(open_one(settings)) for open_one in (open_bus, open_registry, open_records, open_cache)
    )


@pytest.mark.parametrize(
    ("settings", "adapter"),
    [
        (Settings(bus="memory"), MemoryWebhookStore),
        (Settings(bus="nats"), NatsWebhookStore),
        (Settings(bus="redis"), RedisWebhookStore),
    ],
)
def test_each_bus_has_a_webhook_store(settings: Settings, adapter: type[WebhookStore]) -> None:
    """It does not connect before it is started."""
    assert adapter is type(open_webhook_store(settings))


def test_every_setting_of_redis_reaches_the_adapter() -> None:
    """Secrets are unwrapped here, and hidden in the options' representation."""
    options = redis_options(
        Settings(
            redis_host="host",
            redis_port=1,
            redis_user="user",
            redis_password=SecretStr("hunter2"),
            redis_db=3,
            redis_tls=True,
            redis_sentinels=("a:1", "b:2"),
            redis_sentinel_master="master",
            redis_sentinel_password=SecretStr("hunter3"),
        )
    )

    assert (
        RedisOptions(
            host="host",
            port=1,
            user="user",
            password="hunter2",
            db=3,
            tls=True,
            sentinels=("a:1", "b:2"),
            sentinel_master="master",
            sentinel_password="hunter3",
        )
        == options
    )
    assert "hunter" not in repr(options)


@pytest.mark.parametrize(("bus", "package"), [("nats", "nats"), ("redis", "redis")])
def test_a_missing_extra_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, bus: str, package: str
) -> None:
    """A plain install has neither client library."""
    for name in list(sys.modules):
        if name.startswith(f"pogo.bus.{bus}") or name.split(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    # What Python itself does with a package that is not there.
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(UsageError, match=r"pip install 'pogo-websocket\[") as caught:
        open_bus(Settings.model_validate({"bus": bus}))

    assert f"[{bus}]" in str(caught.value)
    assert 2 == caught.value.exit_code
