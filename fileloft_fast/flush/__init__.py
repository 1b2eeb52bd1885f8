"""⑦ The spool on its way to an object store: journal, flusher, and the store made of both."""

from __future__ import annotations

from fileloft_fast.flush.assembly import FlushPlan, open_store
from fileloft_fast.flush.spool import Spool
from fileloft_fast.flush.store import SpooledStore

__all__ = ["FlushPlan", "Spool", "SpooledStore", "open_store"]
