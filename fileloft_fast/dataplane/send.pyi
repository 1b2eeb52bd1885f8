"""File to socket. Only C reaches in here: see ext/send.pxd."""

__pyx_capi__: dict[str, object]
