"""Named storages: objects at paths, tickets, the JSON API and the S3 front, over the wire."""
