"""Socket to file. Only C reaches in here: see ext/receive.pxd."""

__pyx_capi__: dict[str, object]
