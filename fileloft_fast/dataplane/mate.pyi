"""The second thread of a transfer thread. Only C reaches in here: see ext/mate.pxd."""

__pyx_capi__: dict[str, object]
