"""The Pusher Channels protocol, version 7, as a server speaks it: pure, without any I/O.

Time and randomness are passed in. `protocol` is where a conversation happens; `states` is its
state machine; `errors` are all the ways in which it can go wrong.
"""
