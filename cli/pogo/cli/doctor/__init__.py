"""`pogo doctor`: looks at the settings and at every part, and says for each what to do.

It changes nothing: it makes no stream and no key, and what it publishes goes to a channel that
nobody can be subscribed to.

- A `Check` has a name, and looks at one thing; a `Finding` is what it has to say.
- `BusServer` is what is asked of NATS and of Redis alike, each by a module of its own.
- `Targets` are the services to try: those that flags name have to answer. Others are looked for on
  this machine, and may be elsewhere.
"""

from pogo.cli.doctor.run import doctor
from pogo.cli.doctor.targets import Flags

__all__ = ["Flags", "doctor"]
