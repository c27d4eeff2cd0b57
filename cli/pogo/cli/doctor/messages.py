"""Whether the bus carries messages: one is published, and has to come back."""

import asyncio
import secrets

from pogo.bus import Bus, BusError, BusRefusedError, Message
from pogo.bus.subjects import channel_subject
from pogo.cli.doctor.bus_server import Stopwatch
from pogo.cli.doctor.findings import Finding, ok, warning, wrong

_WAIT = 2.0
"""Seconds in which the message has to come back."""

_PAYLOAD = b"pogo doctor"


async def check_messages(bus: Bus, app_id: str) -> Finding:
    """Publish where channels of an app are, on a subject that is no channel's; close the bus.

    That is what edges do. Brokers publish there, and may not be allowed to subscribe.
    """
    came = asyncio.Event()
    # No name is encoded so: there is no channel to which this could be delivered.
    subject = f"{channel_subject(app_id, '')}=doctor-{secrets.token_hex(8)}"
    try:
        await bus.start()
        bus.subscribe(subject, lambda _: came.set())
        await bus.flush()
        watch = Stopwatch()
        (error,) = await bus.publish([Message(subject, _PAYLOAD)])
        if isinstance(error, BusRefusedError):
            return wrong(
                f"this user may not publish to channels: {error}",
                "let it: deploy/bus has the permissions that edges and brokers need",
            )
        if error is not None:
            raise error
        async with asyncio.timeout(_WAIT):
            await came.wait()
        return ok(f"a message came back in {watch.milliseconds:.1f} ms")
    except BusError as error:
        return wrong(f"no message could be sent: {error}", "see what is found of the bus itself")
    except TimeoutError:
        return warning(
            "what is published does not come back: this user may not subscribe to channels, as is "
            "right for brokers; an edge would be deaf",
            "look at it with the settings of an edge, too",
        )
    finally:
        await bus.close()
