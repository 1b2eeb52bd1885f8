"""Access: who may do what to which upload, and how much of it."""

from __future__ import annotations

from fileloft_fast.access.grant import issue_grant
from fileloft_fast.access.guard import Access, limited
from fileloft_fast.access.load import load_access
from fileloft_fast.model import Operation

__all__ = ["Access", "Operation", "issue_grant", "limited", "load_access"]
