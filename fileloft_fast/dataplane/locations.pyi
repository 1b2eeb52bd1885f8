"""Locations of answers. Only C reaches in here: see ext/locations.pxd."""

__pyx_capi__: dict[str, object]
