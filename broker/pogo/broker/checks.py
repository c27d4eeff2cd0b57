"""What is wrong with an event, judged before anything is done for it."""

from collections.abc import Sequence

import msgspec

from pogo.broker.events import Event
from pogo.broker.status import Outcome
from pogo.pusher.channels import ChannelKind, ChannelNameError, check_channel_name
from pogo.rpc.v1.status import StatusCode
from pogo.settings import Settings

# Walks the whole text without building anything of it.
_skim = msgspec.json.Decoder(msgspec.Raw).decode


class EventChecks:
    """Holds events to the limits of the settings. The first rule that is broken counts."""

    def __init__(self, settings: Settings) -> None:
        self._max_channels = settings.max_channels
        self._max_channel_length = settings.max_channel_length
        self._max_event_length = settings.max_event_length
        self._max_payload = settings.max_payload

    def judge(self, event: Event, channels: Sequence[str], *, json_data: bool) -> Outcome | None:
        """Return why the event is refused, in the order 7, 2, 3, 4, 5; `None` if it is not.

        Args:
            event: What was handed in.
            channels: Its channels, each once.
            json_data: Whether the data must be JSON text.
        """
        if len(channels) != 1:
            problem = self._judge_together(channels)
            if problem:
                return Outcome(StatusCode.INVALID_MULTI_CHANNEL_JSON, problem)
        try:
            for channel in channels:
                check_channel_name(channel, self._max_channel_length)
        except ChannelNameError as error:
            return Outcome(StatusCode.CHANNEL_TOO_LONG, str(error))
        if not 0 < len(event.name) <= self._max_event_length:
            return Outcome(
                StatusCode.EVENT_TOO_LONG,
                f"an event name has 1 to {self._max_event_length} characters, "
                f"not {len(event.name)}",
            )
        data = event.data.encode()
        if len(data) > self._max_payload:
            return Outcome(
                StatusCode.PAYLOAD_TOO_LARGE,
                f"the data has at most {self._max_payload} bytes, not {len(data)}",
            )
        problem = _problem_of_json(data) if json_data else ""
        return Outcome(StatusCode.INVALID_PAYLOAD_JSON, problem) if problem else None

    def _judge_together(self, channels: Sequence[str]) -> str:
        if not 0 < len(channels) <= self._max_channels:
            return f"channels is a JSON array of 1 to {self._max_channels} channel names"
        if any(channel.startswith(ChannelKind.ENCRYPTED.prefix) for channel in channels):
            return "an encrypted channel has a key of its own, so it goes alone"
        return ""


def _problem_of_json(text: bytes) -> str:
    try:
        _skim(text)
    except msgspec.DecodeError as error:
        return f"the data is not JSON text: {error}"
    except RecursionError:
        return "the data is not JSON text: it is nested too deeply"
    return ""
