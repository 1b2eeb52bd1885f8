"""④ The one orchestration: runs what ``tus`` decided against lock, store and engine."""

from __future__ import annotations

from fileloft_fast.uploads.locks import Locks
from fileloft_fast.uploads.service import Service
from fileloft_fast.uploads.sweeper import Sweeper

__all__ = ["Locks", "Service", "Sweeper"]
