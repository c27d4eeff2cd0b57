"""The broker takes events from back ends and puts their deliveries on the bus.

Any number of them run behind any load balancer; they share nothing but the bus and the registry.
"""

from pogo.broker.publisher import Publisher
from pogo.broker.server import BrokerServer
from pogo.broker.status import Outcome
from pogo.rpc.v1.status import StatusCode

__all__ = ["BrokerServer", "Outcome", "Publisher", "StatusCode"]
