"""A Google Cloud Storage for tests, with the semantics of the real one, as a process of its own."""

from tests.stores.gcs_fake.process import GcsFake

__all__ = ["GcsFake"]
