"""What was measured, as JSON: a run adds its points to those of earlier runs."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from fileloft_fast.bench.machine import describe_machine

if TYPE_CHECKING:
    from fileloft_fast.bench.results import Machine

Values: TypeAlias = dict[str, float]
Curve: TypeAlias = dict[int, Values]

FOLDER: Final = Path("docs/internals/growth")
RESULTS: Final = FOLDER / "results.json"


def read_curves(path: Path) -> dict[str, Curve]:
    """Return the curves in the file at *path*, none where it does not exist."""
    if not path.exists():
        return {}
    curves = json.loads(path.read_text(encoding="utf-8"))["curves"]
    return {
        name: {int(size): point["values"] for size, point in points.items()}
        for name, points in curves.items()
    }


def add_point(path: Path, curve: str, size: int, values: Values) -> None:
    """Write down what *curve* came to at *size*; what was there of it is replaced."""
    machine = describe_machine()
    found = {"curves": {}} if not path.exists() else json.loads(path.read_text(encoding="utf-8"))
    points = found["curves"].setdefault(curve, {})
    points[str(size)] = {
        "values": {name: float(f"{value:.4g}") for name, value in values.items()},
        "command": " ".join(["python -m benchmarks.growth", *sys.argv[1:]]),
        "commit": machine.commit,
    }
    found["curves"][curve] = dict(sorted(points.items(), key=lambda item: int(item[0])))
    found["machine"] = _described(machine)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def exponent(curve: Curve, quantity: str) -> float | None:
    """Return how *quantity* grows over the last two sizes: 1 is linear, 0 not at all."""
    points = [(size, values[quantity]) for size, values in curve.items() if quantity in values]
    if len(points) < 2 or any(value <= 0 for _, value in points[-2:]):
        return None
    (size, value), (larger, grown) = points[-2:]
    return math.log(grown / value) / math.log(larger / size)


def _described(machine: Machine) -> dict[str, str]:
    """Return what the figures depend on besides the code."""
    return {
        "cpu": f"{machine.cpus} x {machine.cpu}",
        "kernel": machine.kernel,
        "python": machine.python,
    }
