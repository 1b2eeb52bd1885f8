"""Jobs, lanes, completions. Only C reaches in here: see ext/jobs.pxd."""

__pyx_capi__: dict[str, object]
