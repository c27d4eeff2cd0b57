"""A Laravel application with Pogo beside it, deployed as it would be: all behind one nginx.

browser ─▶ nginx ─┬─ /app/   ─▶ edges
                  ├─ /pogo/  ─▶ authsvc ─▶ php-fpm
                  └─ /       ─▶ php-fpm ─▶ broker
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import Service, running_bus
from tests.laravel.application import Shop, install_vendor
from tests.nginx import Nginx
from tests.php_fpm import PhpFpm
from tests.servers import HOST, ServerProcess, free_port

APP_ID = "shop"

_PROXY = """\
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
"""
_LOCATIONS = """\
location /app/ {{
  proxy_pass http://edges;
  {proxy}
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection "upgrade";
}}
location /pogo/ {{
  proxy_pass http://auth;
  {proxy}
}}
location / {{
  fastcgi_pass unix:{socket};
  fastcgi_param SCRIPT_FILENAME {script};
  fastcgi_param REQUEST_METHOD $request_method;
  fastcgi_param REQUEST_URI $request_uri;
  fastcgi_param QUERY_STRING $query_string;
  fastcgi_param CONTENT_TYPE $content_type;
  fastcgi_param CONTENT_LENGTH $content_length;
  fastcgi_param REMOTE_ADDR $remote_addr;
  fastcgi_param SERVER_PROTOCOL $server_protocol;
}}
"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs."""

    url: str
    """What browsers open."""
    services: list[Service]
    shop: Shop

    def errors(self) -> list[str]:
        """Return what any of the services logged that needs somebody's attention."""
        return [line for service in self.services for line in service.errors()]


@contextmanager
def running_shop(kind: str, folder: Path) -> Iterator[Deployment]:
    """Deploy the shop with `pogo serve`, or with services apart from each other on `nats`.

    Clients may or may not send a signature.
    """
    port = free_port()
    origin = f"http://{HOST}:{port}"
    app = {
        "POGO_APP_ID": APP_ID,
        "POGO_APP_KEY": "shop-key",
        "POGO_APP_SECRET": secrets.token_hex(16),
    }
    socket = folder / "fpm" / "php-fpm.sock"
    shop = Shop(folder / "shop", install_vendor(folder / "composer"), environment=app)
    with ExitStack() as stack:
        bus = stack.enter_context(running_bus(kind, folder))
        settings = {
            **bus,
            **app,
            "POGO_HANDSHAKE_RATE": "-1",
            "POGO_ALLOWED_ORIGINS": origin,
            "POGO_TRUSTED_PROXIES": HOST,
            "POGO_AUTH_UPSTREAM": f"fastcgi://{socket}",
            "POGO_AUTH_SCRIPT": str(shop.script),
            "POGO_SUBSCRIBE_WITHOUT_AUTH": "true",
        }
        services: list[Service] = []

        def start(command: str, **more: str) -> Service:
            log = folder / f"{command}-{len(services)}.log"
            service = Service(command, {**settings, **more}, log)
            stack.callback(service.stop)
            services.append(service)
            return service

        if kind == "serve":
            edges = [start("serve")]
            grpc, auth = edges[0].grpc, edges[0].port
        else:
            authsvc = start("authsvc")
            auth = authsvc.auth_port
            edges = [start("edge", POGO_AUTH_SERVICE=authsvc.auth_grpc) for _ in range(2)]
            grpc = start("broker").grpc
        environment = {**shop.environment, "POGO_BROKER": grpc}
        _run(stack, PhpFpm(folder / "fpm", children=8, environment=environment))
        nginx = Nginx(
            folder / "nginx",
            _LOCATIONS.format(proxy=_PROXY, socket=socket, script=shop.script),
            before=_upstreams([edge.port for edge in edges], auth),
            port=port,
        )
        _run(stack, nginx)
        yield Deployment(origin, services, shop)


def _run(stack: ExitStack, server: ServerProcess) -> None:
    asyncio.run(server.start())
    stack.callback(lambda: asyncio.run(server.stop()))


def _upstreams(edges: list[int], auth: int) -> str:
    servers = " ".join(f"server {HOST}:{port};" for port in edges)
    return f"upstream edges {{ {servers} }}\nupstream auth {{ server {HOST}:{auth}; }}"
