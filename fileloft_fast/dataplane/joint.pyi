"""One fsync for all who wait. Only C reaches in here: see ext/joint.pxd."""

__pyx_capi__: dict[str, object]
