"""What is said of the machine."""

import subprocess
import sys
import time
from pathlib import Path

from bench.delivery.machine import Meter
from bench.delivery.pauses import PROGRAM, Pauses

BUSY = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"


def test_own_processes() -> None:
    """What the measurement's own processes have used counts as its own, also when they ended."""
    meter = Meter.start()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert 0.4 <= Meter.start().own - meter.own < 4


def test_noise_is_what_others_use() -> None:
    """What processes elsewhere use is noise: here those of another parent."""
    # The shell ends at once, so that the process is nobody's here.
    command = f'{sys.executable} -c "{BUSY}" & echo $!'
    meter = Meter.start()
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, check=True)
    path = Path(f"/proc/{int(done.stdout)}")
    deadline = time.monotonic() + 20
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    noise = meter.noise()
    assert 0.35 <= noise.others * (time.monotonic() - meter.time)


def test_pauses(tmp_path: Path) -> None:
    """The longest collection since a moment is told, in processor milliseconds."""
    pauses = Pauses(tmp_path / "pauses")
    (tmp_path / "pauses").write_text("100 9000000\n200 2000000\n300 4000000\n")
    assert 9.0 == pauses.longest(100)
    assert 4.0 == pauses.longest(101)
    assert 0.0 == pauses.longest(301)


def test_pauses_of_a_program(tmp_path: Path) -> None:
    """The command that is watched works, and writes its pauses down."""
    path = tmp_path / "pauses"
    environment = Pauses(path).settings
    done = subprocess.run(
        [*PROGRAM, "version"], env=environment, cwd=tmp_path, capture_output=True, check=True
    )
    assert b"0." in done.stdout
    assert path.exists()
