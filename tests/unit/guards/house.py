"""What a tree is checked for; each function returns the violations that it finds under a root."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
LARGEST_FILE: Final = 400
SOURCES: Final = ("fileloft_fast", "ext", "tests", "benchmarks", "docs", "setup.py")
ENDINGS: Final = {".py", ".pyx", ".pxd", ".pyi", ".js", ".mjs"}
EMPTY_NAMES: Final = {"utils", "util", "helpers", "helper", "common", "manager", "impl", "misc"}
PAGES: Final = ("docs", "deploy", "README.md", "CHANGELOG.md", "Dockerfile")
NO_TEXTS: Final = {".py", ".pyc", ".png"}  # nor are pictures read
NO_SETTINGS: Final = {
    "FILELOFT_ENABLE_H2C",  # fileloft's, which stops the start with a reason
}
SETTING: Final = re.compile(r"FILELOFT_[A-Z0-9_]*")
# the load client is not the engine: no server loads it, and so it is no part of the façade
INNER_MODULES: Final = re.compile(r"fileloft_fast\.dataplane\.(?!load$)\w+")
CIMPORT: Final = re.compile(
    r"^\s*(?:from\s+(?:fileloft_fast\.dataplane)?\.?(\w+)\s+cimport|"
    r"cimport\s+fileloft_fast\.dataplane\.(\w+))",
    re.MULTILINE,
)


def source_files(root: Path) -> list[Path]:
    """Return the files that people write under *root*, in order."""
    found: list[Path] = []
    for name in SOURCES:
        top = root / name
        found += [top] if top.is_file() else top.rglob("*")
    ours = (path for path in found if "node_modules" not in path.parts)
    return sorted(path for path in ours if path.suffix in ENDINGS and path.is_file())


def oversized_files(root: Path) -> list[str]:
    """Return the files that have more lines than a file may have."""
    lengths = {path: len(path.read_text().splitlines()) for path in source_files(root)}
    return [f"{path.relative_to(root)}: {n}" for path, n in lengths.items() if n > LARGEST_FILE]


def empty_names(root: Path) -> list[str]:
    """Return the files and folders whose name says nothing."""
    paths = {part for path in source_files(root) for part in (path, path.parent)}
    return sorted(str(path.relative_to(root)) for path in paths if path.stem in EMPTY_NAMES)


def native_imports(root: Path) -> dict[str, set[str]]:
    """Return which modules of ``ext/`` each module of it cimports, headers and sources as one."""
    imports: dict[str, set[str]] = {}
    for path in sorted((root / "ext").glob("*.p[xy][dx]")):
        names = {a or b for a, b in CIMPORT.findall(path.read_text())}
        imports.setdefault(path.stem, set()).update(names - {path.stem})
    imports.pop("__init__", None)
    return {module: names & imports.keys() for module, names in imports.items()}


def upward_imports(imports: Mapping[str, Iterable[str]], layers: Sequence[str]) -> list[str]:
    """Return what breaks *layers*, highest first: a module not in it, and each import upwards."""
    found = [f"{module}: in no layer" for module in sorted(imports) if module not in layers]
    height = {module: -place for place, module in enumerate(layers)}
    for module, names in sorted(imports.items()):
        found += [
            f"{module} imports {name}"
            for name in sorted(names)
            if module in height and name in height and height[name] >= height[module]
        ]
    return found


def engine_imports(root: Path) -> list[str]:
    """Return the modules outside ``dataplane`` that reach past it to a compiled module."""
    package = root / "fileloft_fast"
    return [
        f"{path.relative_to(root)} imports {name}"
        for path in sorted(package.rglob("*.py"))
        if path.parent.name != "dataplane"
        for name in imported_names(path)
        if INNER_MODULES.match(name)
    ]


def imported_names(path: Path) -> list[str]:
    """Return the modules that a Python file imports, absolute imports only."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def public_names(root: Path) -> list[str]:
    """Return a line ``package: name`` for every name in the ``__all__`` of a package."""
    lines: list[str] = []
    for path in sorted((root / "fileloft_fast").rglob("__init__.py")):
        package = ".".join(path.parent.relative_to(root).parts)
        lines += [f"{package}: {name}" for name in sorted(exported(path))]
    return lines


def exported(path: Path) -> list[str]:
    """Return the ``__all__`` of a Python file, empty where it has none."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            return [str(name) for name in names]
    return []


def repeated_codes(table: Iterable[tuple[str, str]]) -> list[str]:
    """Return the error codes that more than one class of *table* (class, code) has."""
    owners: dict[str, list[str]] = {}
    for name, code in table:
        owners.setdefault(code, []).append(name)
    return [f"{code}: {', '.join(names)}" for code, names in owners.items() if len(names) > 1]


def unknown_settings(root: Path, variables: Iterable[str]) -> list[str]:
    """Return what pages and examples call a setting and is none of *variables*.

    A name that ends with an underscore stands for those that begin so: ``FILELOFT_S3_…``.
    """
    known = {*variables, *NO_SETTINGS}
    found: list[str] = []
    for page in (path for name in PAGES for path in texts(root / name)):
        names = sorted(set(SETTING.findall(page.read_text())) - known)
        found += [
            f"{page.relative_to(root)}: {name}"
            for name in names
            if not name.endswith("_") or not any(variable.startswith(name) for variable in known)
        ]
    return found


def texts(top: Path) -> list[Path]:
    """Return the files at or under *top* that people read, in order."""
    files = [top] if top.is_file() else top.rglob("*")
    return sorted(path for path in files if path.is_file() and path.suffix not in NO_TEXTS)
