"""Framing of answers. Only C reaches in here: see ext/answers.pxd."""

__pyx_capi__: dict[str, object]
