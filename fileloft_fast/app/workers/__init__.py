"""Several processes that serve, and a process that another one takes over from."""

from __future__ import annotations

from fileloft_fast.app.workers.launch import HANDED, Launch
from fileloft_fast.app.workers.supervisor import Supervisor

__all__ = ["HANDED", "Launch", "Supervisor"]
