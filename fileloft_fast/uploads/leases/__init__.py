"""Locks between replicas: in Redis, or as objects in the store that holds the uploads."""

from __future__ import annotations

from fileloft_fast.uploads.leases.lease import Lease, Leases
from fileloft_fast.uploads.leases.load import load_redis
from fileloft_fast.uploads.leases.objects import ObjectLeases

__all__ = ["Lease", "Leases", "ObjectLeases", "load_redis"]
