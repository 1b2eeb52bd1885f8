"""CRC-32 and CRC-32C. Only C reaches in here: see ext/crc.pxd."""

__pyx_capi__: dict[str, object]
