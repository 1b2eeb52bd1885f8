from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
LIBRARY: Final = ROOT / "build" / "sanitize" / "lib"
HERE: Final = Path(__file__).parent

# The package is imported before pytest puts the build in place onto the path.
RUN: Final = f"""
import sys
sys.path[:0] = [{str(LIBRARY)!r}, {str(ROOT)!r}]
import fileloft_fast.dataplane
assert fileloft_fast.dataplane.__file__.startswith({str(LIBRARY)!r})
import pytest
sys.exit(pytest.main(["-qx", "-p", "no:cacheprovider", "--ignore={__file__}", {str(HERE)!r}]))
"""


def run(*command: str) -> None:
    result = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}"


def compiler_library(name: str) -> str:
    compiler = shlex.split(sysconfig.get_config_var("CC"))[0]
    command = [compiler, f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_every_native_test_passes_under_address_and_undefined_behaviour_sanitizers() -> None:
    """Build the engine with ASan and UBSan into build/sanitize, and run this folder on it.

    The build in place is not touched. Python itself leaks on purpose at exit, so leaks are not
    looked for; PYTHONMALLOC=malloc lets ASan see every object.
    """
    run(
        *("env", "FILELOFT_BUILD=sanitize", sys.executable, "setup.py", "--quiet", "build"),
        *("--build-base", "build/sanitize", "--build-lib", str(LIBRARY)),
    )
    run(
        "env",
        f"LD_PRELOAD={compiler_library('libasan.so')} {compiler_library('libubsan.so')}",
        "ASAN_OPTIONS=detect_leaks=0:exitcode=99:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC=malloc",
        *(sys.executable, "-P", "-c", RUN),
    )
