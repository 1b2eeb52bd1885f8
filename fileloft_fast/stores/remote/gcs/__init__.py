"""Google Cloud Storage: its JSON API, spoken by a client of our own.

Google's library has no asyncio, and cannot take a resumable session up again in another process
but by its private parts. Needs the extra ``gcs``.
"""

from fileloft_fast.stores.remote.gcs.driver import GcsObjects

__all__ = ["GcsObjects"]
