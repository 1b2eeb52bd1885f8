"""Jobs on the loop's side. Only C reaches in here: see ext/dispatch.pxd."""

__pyx_capi__: dict[str, object]

from typing_extensions import disjoint_base

@disjoint_base
class Dispatcher:
    """The lanes of file jobs, and the way back of their results; only of use as an Engine."""
