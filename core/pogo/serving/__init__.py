"""What services that listen have in common: gRPC and HTTP servers as a good neighbour runs them."""

from pogo.serving.grpc import grpc_client_credentials, listen_grpc, quiet_callers_faults
from pogo.serving.http import HttpSite, client_fault_filter, tls_options
from pogo.serving.proxies import RemoteAddresses

__all__ = [
    "HttpSite",
    "RemoteAddresses",
    "client_fault_filter",
    "grpc_client_credentials",
    "listen_grpc",
    "quiet_callers_faults",
    "tls_options",
]
