"""The picture of a soak: memory of each process, and what the clients were, over time."""

from collections.abc import Sequence
from pathlib import Path

from bench.soak.samples import Sample
from bench.soak.verdict import MEGABYTE, WARM_UP, growth

_MINUTE = 60
_WIDTH, _HEIGHT = 11, 2.4
_COLOUR = "#3a6ea5"


def draw(samples: Sequence[Sample], path: Path) -> bool:
    """Write the picture; returns whether it could: matplotlib may not be installed."""
    try:
        # Only this picture needs it.
        import matplotlib as mpl  # noqa: PLC0415
    except ImportError:
        return False
    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    minutes = [sample.seconds / _MINUTE for sample in samples]
    processes = list(samples[0].resident)
    figure, axes = plt.subplots(
        len(processes) + 2,
        figsize=(_WIDTH, _HEIGHT * (len(processes) + 2)),
        sharex=True,
        layout="constrained",
    )
    for axis, process in zip(axes, processes, strict=False):
        memory = [one.resident[process] / MEGABYTE for one in samples]
        axis.plot(minutes, memory, color=_COLOUR)
        axis.set_ylim(0, 1.2 * max(memory))
        axis.axvspan(minutes[0], minutes[0] + WARM_UP * (minutes[-1] - minutes[0]), alpha=0.1)
        grown = growth(samples, process) / MEGABYTE
        axis.set_title(f"memory of {process}, MB ({grown:+.2f} after the warm-up)", loc="left")
    for name in samples[0].held:
        axes[-2].plot(minutes, [one.held[name] for one in samples], label=name)
    axes[-2].set_title("what there is of clients", loc="left")
    for process in processes:
        axes[-1].plot(minutes, [one.files[process] for one in samples], label=process)
    axes[-1].set_title("open files", loc="left")
    axes[-1].set_xlabel("minutes")
    for axis in axes[-2:]:
        axis.legend(loc="upper right")
        axis.set_ylim(bottom=0)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return True
