"""What services that listen have in common: gRPC and HTTP servers as a good neighbour runs them."""

from pogo.serving.grpc import listen_grpc, quiet_callers_faults
from pogo.serving.http import client_fault_filter
from pogo.serving.proxies import RemoteAddresses

__all__ = ["RemoteAddresses", "client_fault_filter", "listen_grpc", "quiet_callers_faults"]
