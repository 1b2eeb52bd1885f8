"""Connections of a load client. Only C reaches in here: see ext/wires.pxd."""

__pyx_capi__: dict[str, object]
