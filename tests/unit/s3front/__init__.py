"""The S3 front without a server: signatures, policies, chunks and documents as values."""
