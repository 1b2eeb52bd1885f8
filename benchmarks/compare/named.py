"""The TOML file in which a user names servers of their own: see servers.example.toml."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import msgspec

from benchmarks.compare.commands import Command
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class Named(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server of the file: how it is started, and what it promises."""

    name: str
    command: list[str]
    sync: str
    checksum: str
    version: str = ""
    path: str = "/files/"
    environment: dict[str, str] = {}

    def as_command(self) -> Command:
        """Return how it is started."""
        return Command(words=self.command, environment=self.environment)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    server: list[Named]


def read_servers(path: Path) -> list[Named]:
    """Read the servers that the file names. Raises ConfigError, which says where it is wrong."""
    try:
        named = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).server
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for number, server in enumerate(named):
        wrong = _wrong_with(server, [other.name for other in named[:number]])
        if wrong:
            raise ConfigError(f"{path}: server {server.name!r}: {wrong}")
    return named


def _wrong_with(server: Named, before: list[str]) -> str:
    """Return what is wrong with *server*, or nothing."""
    if not server.name.strip() or "|" in server.name:
        return "the name is a heading of a table: neither empty nor with a |"
    if server.name in before:
        return "the name is taken"
    if not server.command:
        return "the command is empty"
    words = [*server.command, *server.environment.values()]
    if not any("{port}" in word for word in words):
        return "neither command nor environment has {port}"
    if not any("{directory}" in word for word in words):
        return "neither command nor environment has {directory}"
    return "" if server.path.startswith("/") else "the path does not begin with /"
