"""CRC-32, CRC-32C and CRC-64/NVME. Only C reaches in here: see ext/crc.pxd."""

__pyx_capi__: dict[str, object]
