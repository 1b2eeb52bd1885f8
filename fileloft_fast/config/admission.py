"""Settings of access: who may do what, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.hooking import Hooking


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission(Hooking):
    """Who is let in."""
