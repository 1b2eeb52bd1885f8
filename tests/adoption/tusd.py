"""A directory as tusd's file store writes it: pkg/filestore and pkg/filelocker of tusd v2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Tusd:
    """Makes in *path* what tusd's requests leave there; tusd was told to call it *told*."""

    def __init__(self, path: Path, told: str = "data") -> None:
        self.path = path
        self._told = told
        path.mkdir(parents=True, exist_ok=True)

    def record(self, name: str, size: int | None, **fields: Any) -> None:
        """Write ``.info`` with Go's field names; ``Offset`` stays 0."""
        record: dict[str, Any] = {
            "ID": name,
            "Size": size or 0,
            "SizeIsDeferred": size is None,
            "Offset": 0,
            "MetaData": {},
            "IsPartial": False,
            "IsFinal": False,
            "PartialUploads": None,
            "Storage": {
                "InfoPath": f"{self._told}/{name}.info",
                "Path": f"{self._told}/{name}",
                "Type": "filestore",
            },
        }
        path = self.path / f"{name}.info"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record | fields, separators=(",", ":")))

    def upload(self, name: str, data: bytes, size: int | None, **fields: Any) -> None:
        """Leave an upload that holds *data*."""
        self.record(name, size, **fields)
        (self.path / name).write_bytes(data)
