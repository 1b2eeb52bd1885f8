"""Copies between files. Only C reaches in here: see ext/copy.pxd."""

__pyx_capi__: dict[str, object]
