"""Taking over what fileloft and tusd left on a disk: first what is to be done, then doing it."""

from __future__ import annotations

from fileloft_fast.stores.fs.adoption.carry import Carrier
from fileloft_fast.stores.fs.adoption.fileloft import FileloftDirectory
from fileloft_fast.stores.fs.adoption.plan import ForeignDirectory, Plan, Verdict
from fileloft_fast.stores.fs.adoption.start import adopt_all, adopt_at_start, attempt, decide
from fileloft_fast.stores.fs.adoption.tusd import TusdDirectory

__all__ = [
    "Carrier",
    "FileloftDirectory",
    "ForeignDirectory",
    "Plan",
    "TusdDirectory",
    "Verdict",
    "adopt_all",
    "adopt_at_start",
    "attempt",
    "decide",
]
