"""The loop in C, compiled for the tests from what `pip install ./speedups` compiles."""

import functools
import importlib.util
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).parents[2] / "speedups" / "pogo_speedups.c"
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


@functools.cache
def compiled_speedups() -> ModuleType:
    """Compile the module and import it, beside one that may be installed."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "pogo_speedups.so"
        include = sysconfig.get_path("include")
        command = ["cc", *_FLAGS, f"-I{include}", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)
        spec = importlib.util.spec_from_file_location("pogo_speedups", library)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
