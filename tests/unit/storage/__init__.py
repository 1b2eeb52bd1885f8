"""The client of storages, without a server: what it sends, and what it makes of answers."""
