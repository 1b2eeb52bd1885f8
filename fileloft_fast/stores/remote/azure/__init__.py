"""Azure Blob Storage; wants ``pip install 'fileloft-fast[azure]'``."""

from __future__ import annotations

from fileloft_fast.stores.remote.azure.blobs import AzureObjects

__all__ = ["AzureObjects"]
