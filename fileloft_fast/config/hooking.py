"""Settings of the hooks: whom to ask, whom to tell, how patiently."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.serving import Serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooking(Serving):
    """What others are asked and told."""
