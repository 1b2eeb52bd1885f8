"""Jobs on ranges of an open file. Only C reaches in here: see ext/ranges.pxd."""

__pyx_capi__: dict[str, object]
