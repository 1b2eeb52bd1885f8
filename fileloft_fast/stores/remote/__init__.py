"""Object stores behind one interface: S3, GCS and Azure, each in an extra of its own."""

from __future__ import annotations

from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Attributes,
    Condition,
    Limits,
    ListedObject,
    ListedObjects,
    ObjectHead,
    Objects,
    OpenSession,
    Pace,
    Piece,
    Receipt,
)

__all__ = [
    "ABSENT",
    "Attributes",
    "Condition",
    "Limits",
    "ListedObject",
    "ListedObjects",
    "ObjectHead",
    "Objects",
    "OpenSession",
    "Pace",
    "Piece",
    "Receipt",
]
