"""How many workers there are where the settings leave it to the machine."""

import contextlib
import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def worker_count(setting: int) -> int:
    """Return the number of processes that a setting asks for; 0 is one for each CPU."""
    return setting or available_cpus()


def available_cpus(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """Count the CPUs that this process may use: those of its affinity, as far as its quota goes.

    The quota is that of its own cgroup (version 2), which is what containers and systemd set.
    """
    cpus = len(os.sched_getaffinity(0))
    quota = _quota(cgroups, own_cgroup)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _quota(cgroups: Path, own_cgroup: Path) -> float | None:
    """Read how many CPUs' worth of time the cgroup may take."""
    paths = [cgroups / "cpu.max"]
    with contextlib.suppress(OSError):
        # "0::/path"; in a container of its own namespace, the path is the root.
        for line in own_cgroup.read_text().splitlines():
            if line.startswith("0::/"):
                paths.insert(0, cgroups / line.removeprefix("0::/") / "cpu.max")
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            quota, period = path.read_text().split()
            return None if quota == "max" else int(quota) / int(period)
    return None
