"""Whether the clocks agree: tokens, signatures and certificates count on them."""

from collections.abc import Mapping

from pogo.broker.auth import LEEWAY
from pogo.cli.doctor.findings import Finding, ok, skipped, warning, wrong

NOTICEABLE = 5.0
"""Seconds of difference that no set clock has."""

_ADVICE = "run NTP (chrony, systemd-timesyncd) on all machines"


def judge_clocks(offsets: Mapping[str, float]) -> Finding:
    """Judge by how many seconds the clocks of others are ahead of the one here."""
    if not offsets:
        return skipped("nobody was reached who tells the time")
    source, offset = max(offsets.items(), key=lambda item: abs(item[1]))
    if abs(offset) < NOTICEABLE:
        return ok(f"within {max(abs(offset), 0.1):.1f} s of that of {' and of '.join(offsets)}")
    side = "ahead of" if offset > 0 else "behind"
    text = f"the clock of {source} is {abs(offset):.0f} s {side} the one here"
    if abs(offset) < LEEWAY:
        return warning(f"{text}: beyond {LEEWAY:g} s, publishers are refused", _ADVICE)
    return wrong(f"{text}: brokers refuse publishers, as they do with a wrong secret", _ADVICE)
