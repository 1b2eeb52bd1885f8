"""The pure parts of named storages."""
