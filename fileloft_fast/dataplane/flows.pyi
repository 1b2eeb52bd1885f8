"""Flows between sockets and files. Only C reaches in here: see ext/flows.pxd."""

__pyx_capi__: dict[str, object]
