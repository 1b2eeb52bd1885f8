"""The compiled half: ext/ becomes fileloft_fast.dataplane.*. Everything else is in pyproject.toml.

FILELOFT_BUILD = release (default), debug, coverage or sanitize. All C goes to build/; the sanitized
modules too (build/sanitize/lib), so that they never take the place of the others.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
BUILD = os.environ.get("FILELOFT_BUILD", "release")
PACKAGE = "fileloft_fast.dataplane"
MODULES = sorted(source.stem for source in (ROOT / "ext").glob("*.pyx"))
LIBRARIES = {"digest": ["crypto"], "sha2": ["crypto"]}

COMPILE = {
    "release": [
        *("-O2", "-g1", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"),
    ],
    "debug": ["-O0", "-g3"],
    "coverage": ["-O0", "-g1", "-DCYTHON_TRACE_NOGIL=1"],
    "sanitize": ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"],
}
LINK = {"release": ["-Wl,-z,relro,-z,now"], "sanitize": ["-fsanitize=address,undefined"]}

if BUILD not in COMPILE:
    raise SystemExit(f"FILELOFT_BUILD is one of {', '.join(COMPILE)}, not {BUILD!r}")


def show_headers_to_cython() -> str:
    """Return a folder in which ``ext`` has the name of the package that it becomes."""
    package = ROOT / "build" / "headers" / Path(*PACKAGE.split("."))
    package.parent.mkdir(parents=True, exist_ok=True)
    if not package.is_symlink():
        package.symlink_to(Path("../../../ext"), target_is_directory=True)
    return str(package.parent.parent)


setup(
    ext_modules=cythonize(
        [
            Extension(
                f"{PACKAGE}.{module}",
                [f"ext/{module}.pyx"],
                libraries=LIBRARIES.get(module, []),
                extra_compile_args=["-Wall", "-Wextra", *COMPILE[BUILD]],
                extra_link_args=LINK.get(BUILD, []),
            )
            for module in MODULES
        ],
        build_dir=f"build/c-{BUILD}",
        include_path=[show_headers_to_cython()],
        compiler_directives={
            "language_level": 3,
            "autotestdict": False,
            "auto_pickle": False,
            "linetrace": BUILD == "coverage",
        },
    ),
)
