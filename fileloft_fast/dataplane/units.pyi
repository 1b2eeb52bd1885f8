"""Units of a load client. Only C reaches in here: see ext/units.pxd."""

__pyx_capi__: dict[str, object]
