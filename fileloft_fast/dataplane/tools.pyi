"""What a transfer thread works with. Only C reaches in here: see ext/tools.pxd."""

__pyx_capi__: dict[str, object]
