"""Rooms import downwards only, in Python and in ``ext/``, and the guard sees where they do not."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.unit.guards.house import ROOT, engine_imports, native_imports, upward_imports

if TYPE_CHECKING:
    from pathlib import Path

NATIVE_LAYERS = (
    "load",
    "crews",
    "units",
    "scores",
    "queues",
    "wires",
    "locations",
    "answers",
    "steps",
    "histogram",
    "engine",
    "transfers",
    "receive",
    "send",
    "flows",
    "dispatch",
    "tools",
    "mate",
    "ranges",
    "files",
    "digest",
    "sha2",
    "jobs",
    "joint",
    "copy",
    "crc",
    "head",
    "tally",
    "ages",
    "linux",
    "atomics",
)
ROOMS = (
    *("cli", "bench", "storage", "app", "listen", "http1", "s3front", "pages", "storages"),
    *("uploads", "access", "hooks", "flush", "stores", "dataplane"),
    *("resumable", "tus"),
)
LOWER_ROOMS = ("database", "config", "observe", "model", "errors", "__main__")
SANS_IO_MODULES = (
    *("canonical", "checksums", "chunks", "claim", "codes", "documents", "policy", "reading"),
    *("signature", "target"),
)


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of this project's own pyproject.toml over *tree*."""
    contracts = str(ROOT / "pyproject.toml")
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", lint, "--config", contracts, "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a made-up tree with every room, all of them empty."""
    for room in (*ROOMS, *LOWER_ROOMS):
        (tmp_path / "fileloft_fast" / room).mkdir(parents=True)
        (tmp_path / "fileloft_fast" / room / "__init__.py").touch()
    for module in SANS_IO_MODULES:
        (tmp_path / "fileloft_fast" / "s3front" / f"{module}.py").touch()
    (tmp_path / "fileloft_fast" / "__init__.py").touch()
    (tmp_path / "ext").mkdir()
    return tmp_path


def test_rooms_import_downwards_only() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


def test_a_tree_in_order_passes(tree: Path) -> None:
    result = lint_imports(tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("room", "wrong"),
    [
        ("errors", "import fileloft_fast.model"),
        ("model", "import fileloft_fast.config"),
        ("http1", "import fileloft_fast.listen"),
        ("uploads", "from fileloft_fast import http1"),
        ("stores", "from fileloft_fast.cli import anything"),
        ("hooks", "from fileloft_fast import uploads"),
        ("storages", "from fileloft_fast import storage"),
        ("storage", "from fileloft_fast import stores"),
        ("tus", "import asyncio"),
        ("tus", "import os.path"),
        ("tus", "from time import monotonic"),
        ("tus", "from fileloft_fast.stores import store"),
        ("tus", "from fileloft_fast.config import Settings"),
        ("tus", "from fileloft_fast import resumable"),
        ("resumable", "import asyncio"),
    ],
)
def test_an_import_upwards_is_seen(tree: Path, room: str, wrong: str) -> None:
    (tree / "fileloft_fast" / room / "__init__.py").write_text(f"{wrong}\n")
    result = lint_imports(tree)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_a_look_at_the_clock_is_seen_in_the_protocol_of_the_s3_front(tree: Path) -> None:
    (tree / "fileloft_fast" / "s3front" / "signature.py").write_text("from time import time\n")
    result = lint_imports(tree)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_a_room_that_is_in_no_layer_is_seen(tree: Path) -> None:
    (tree / "fileloft_fast" / "attic").mkdir()
    (tree / "fileloft_fast" / "attic" / "__init__.py").touch()
    result = lint_imports(tree)
    assert result.returncode == 1
    assert "attic" in result.stdout


def test_native_modules_import_downwards_only() -> None:
    imports = native_imports(ROOT)
    assert imports.keys() == set(NATIVE_LAYERS)
    assert upward_imports(imports, NATIVE_LAYERS) == []


def test_an_upward_cimport_is_seen(tree: Path) -> None:
    (tree / "ext" / "linux.pxd").write_text("from fileloft_fast.dataplane.engine cimport Engine\n")
    (tree / "ext" / "jobs.pyx").write_text("cimport fileloft_fast.dataplane.engine as e\n")
    (tree / "ext" / "engine.pyx").write_text("from .jobs cimport (\n  Job)\n")
    (tree / "ext" / "attic.pyx").touch()
    assert upward_imports(native_imports(tree), NATIVE_LAYERS) == [
        "attic: in no layer",
        "jobs imports engine",
        "linux imports engine",
    ]


def test_only_dataplane_imports_compiled_modules() -> None:
    assert engine_imports(ROOT) == []


def test_reaching_past_dataplane_is_seen(tree: Path) -> None:
    bad = tree / "fileloft_fast" / "stores" / "fs.py"
    bad.write_text("from fileloft_fast.dataplane.engine import Engine\n")
    assert engine_imports(tree) == [
        "fileloft_fast/stores/fs.py imports fileloft_fast.dataplane.engine"
    ]
