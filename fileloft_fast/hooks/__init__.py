"""Others are asked before uploads happen and told after: by HTTP, files or Python objects.

What a Python hook is given and may return is here; the rest is the server's own.
"""

from __future__ import annotations

from fileloft_fast.errors import RefusedByHookError
from fileloft_fast.hooks.wire import (
    HookChange,
    HookHttpRequest,
    HookHttpResponse,
    HookOccasion,
    HookRequest,
    HookResponse,
    HookStorageChange,
    HookUpload,
)

__all__ = [
    "HookChange",
    "HookHttpRequest",
    "HookHttpResponse",
    "HookOccasion",
    "HookRequest",
    "HookResponse",
    "HookStorageChange",
    "HookUpload",
    "RefusedByHookError",
]
