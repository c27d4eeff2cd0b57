"""The auth service: channel signing and user sign-in by the application's PHP worker.

Only its contract (`pogo/rpc/v1/auth.proto`) exists so far.
"""
