"""sha256 and sha512 with a state that can be kept. Only C reaches in here: see ext/sha2.pxd."""

__pyx_capi__: dict[str, object]
