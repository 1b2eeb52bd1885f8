"""The S3 front: what an S3 client asks, as operations on named storages.

``signature``, ``policy``, ``chunks``, ``documents`` and ``codes`` are sans-IO: the protocol alone.
"""
