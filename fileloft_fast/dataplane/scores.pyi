"""What a thread of a load client has seen. Only C reaches in here: see ext/scores.pxd."""

__pyx_capi__: dict[str, object]
