"""What of the subscribers of an app's channels somebody wants to know."""

import enum


class Counting(enum.IntEnum):
    """What of a channel's subscribers is counted; each includes the ones before."""

    NOTHING = 0
    OCCUPANCY = 1
    """Whether there are any."""
    NUMBERS = 2
    """How many there are, with a second's delay."""
    CLIENTS = 3
    """How many there are, for clients who are told at once."""
