"""Objects that are ours to delete: others may lie under the same keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.flush.attributes import ID_NAME

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores.remote.objects import Objects


async def delete_own(objects: Objects, key: str, upload: UploadId) -> None:
    """Delete the object at *key* if it says that it is that of *upload*. Raises StoreError."""
    head = await objects.head(key)
    if head is not None and head.metadata.get(ID_NAME) == upload:
        await objects.delete(key)
