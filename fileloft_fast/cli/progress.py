"""A bar for long work, where somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TypeVar

T = TypeVar("T")


def watched(items: Iterable[T], unit: str) -> Iterable[T]:
    """Return *items*; while they are gone through, a bar on standard error counts them.

    None where that is no terminal, or where what is printed goes to the same one.
    """
    if not sys.stderr.isatty() or sys.stdout.isatty():
        return items
    bar: Iterable[T] = import_module("tqdm").tqdm(items, unit=f" {unit}", leave=False)
    return bar


@contextmanager
def counting(unit: str) -> Iterator[Callable[[int], object]]:
    """Yield what is to be called with how many were done; a bar counts, where one looks."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with import_module("tqdm").tqdm(unit=f" {unit}", leave=False) as bar:
        yield bar.update


class Bars:
    """A bar a work of ``bench``, on standard error."""

    @contextmanager
    def watch(self, title: str, total: int, unit: str) -> Iterator[Callable[[int], object] | None]:
        """Yield what is told how much is done by now; *unit* is ``B`` for bytes."""
        scale = unit == "B"
        with import_module("tqdm").tqdm(
            desc=title,
            total=total,
            unit=unit if scale else f" {unit}",
            unit_scale=scale,
            leave=False,
        ) as bar:
            yield lambda done: bar.update(done - bar.n)
