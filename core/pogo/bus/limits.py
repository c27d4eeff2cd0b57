"""What is too large for the bus, by the same rule in every adapter."""

from pogo.bus.interface import Message, MessageTooLargeError

MAX_PAYLOAD = 1024 * 1024
"""Bytes: the limit of NATS until a server names its own, and of the buses that have none, so that
a deployment can move from one bus to another."""

MAX_SUBJECT = 3_000
"""Characters. NATS cuts a connection whose control line passes 4,096 bytes."""


def too_large(message: Message, max_payload: int) -> MessageTooLargeError | None:
    """Return why no server would take the message."""
    size = len(message.payload)
    if size > max_payload:
        return MessageTooLargeError(f"the payload has {size} bytes, over {max_payload}")
    if len(message.subject) > MAX_SUBJECT:
        size = len(message.subject)
        return MessageTooLargeError(f"the subject has {size} characters, over {MAX_SUBJECT}")
    return None
