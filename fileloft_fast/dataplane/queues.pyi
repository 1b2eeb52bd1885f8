"""Where connections of a load client wait. Only C reaches in here: see ext/queues.pxd."""

__pyx_capi__: dict[str, object]
