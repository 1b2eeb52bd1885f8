"""The S3 front: what an S3 client asks, as operations on named storages.

Sans-IO, the protocol alone: ``claim``, ``canonical``, ``signature`` and ``target`` (Signature V4),
``policy`` (forms), ``chunks`` and ``checksums`` (bodies), ``documents`` and ``reading`` (XML),
``codes`` (errors).
"""
