"""Threads of a load client. Only C reaches in here: see ext/crews.pxd."""

__pyx_capi__: dict[str, object]
