"""Amazon S3, and whatever speaks its protocol; needs the extra ``s3`` (aiobotocore)."""

from __future__ import annotations

from fileloft_fast.stores.remote.s3.bucket import S3Objects

__all__ = ["S3Objects"]
