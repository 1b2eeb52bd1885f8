"""File jobs. Only C reaches in here: see ext/files.pxd."""

__pyx_capi__: dict[str, object]
