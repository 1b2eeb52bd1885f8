"""Wheels and the sdist: for whom they are built, and that all of the source is in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.images.dockerfile import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES: Final = ("ext", "fileloft_fast")


def run(*words: str, cwd: Path = ROOT) -> str:
    """Run a module of this interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_wheel_is_built_for_each_python_on_both_c_libraries(arch: str) -> None:
    listing = ("-m", "cibuildwheel", "--print-build-identifiers", "--platform", "linux")
    built = set(run(*listing, "--archs", arch).split())
    named = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if ":: 3." in line]
    pythons = [f"cp{version.replace('.', '')}" for version in named]
    assert built == {
        f"{python}-{libc}_{arch}" for python in pythons for libc in ("manylinux", "musllinux")
    }


def test_what_a_wheel_is_tried_by_runs(tmp_path: Path) -> None:
    # from elsewhere, as cibuildwheel does: the package is then the one that is installed
    assert run(str(ROOT / "tests" / "images" / "try_wheel.py"), cwd=tmp_path) == "uploaded\n"


def test_the_licence_of_the_library_in_a_wheel_is_put_into_it() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert text.count("cp {project}/deploy/wheels/LICENSE.openssl {project}") == 2
    assert PROJECT["license-files"] == ["LICENSE*"]
    assert "Apache License" in (ROOT / "deploy" / "wheels" / "LICENSE.openssl").read_text()


@pytest.mark.slow
def test_the_sdist_has_all_of_the_source_and_nothing_that_was_built(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    built = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    for name in SOURCES:
        shutil.copytree(ROOT / name, tree / name, ignore=built)
    for path in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(path, tree)  # and no .git: nothing may ask it
    run("-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), ".", cwd=tree)
    (made,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    source = {
        p.relative_to(tree).as_posix() for name in SOURCES for p in (tree / name).rglob("*.p*")
    }
    assert source - names == set()
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert [name for name in names if name.endswith((".c", ".so", ".pyc"))] == []
