"""The TOML file in which a user names servers: what it may say, and how it says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from benchmarks.compare.named import read_servers
from fileloft_fast.errors import ConfigError

EXAMPLE: Final = Path("benchmarks/compare/servers.example.toml")
GOOD: Final = """
[[server]]
name = "mine"
command = ["mine", "--port={port}"]
environment = { STORE = "{directory}" }
sync = "no"
checksum = "no"
"""


def read(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "servers.toml"
    path.write_text(text, encoding="utf-8")
    return [server.name for server in read_servers(path)]


def test_the_example_names_three_servers_each_with_what_it_promises() -> None:
    named = read_servers(EXAMPLE)
    assert [server.name for server in named] == ["tusd", "fileloft", "rustus"]
    assert all(server.sync and server.checksum and server.version for server in named)


def test_port_and_directory_are_filled_in_words_and_environment(tmp_path: Path) -> None:
    read(tmp_path, GOOD)
    (server,) = read_servers(tmp_path / "servers.toml")
    words, environment = server.as_command().filled(81, Path("/d"))
    assert words == ["mine", "--port=81"]
    assert environment["STORE"] == "/d"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[[server]]", "[[server"), "line 2"),
        (('name = "mine"', ""), "missing required field `name`"),
        (('name = "mine"', 'name = ""'), "neither empty"),
        (('name = "mine"', 'name = "a|b"'), "heading"),
        (('sync = "no"', 'sync = "no"\nsink = 1'), "unknown field `sink`"),
        (('sync = "no"', "sync = false"), "Expected `str`, got `bool`"),
        (('["mine", "--port={port}"]', '"mine --port={port}"'), "Expected `array`"),
        (('["mine", "--port={port}"]', "[]"), "the command is empty"),
        (("--port={port}", "--port=80"), "has {port}"),
        (("{directory}", "/data"), "has {directory}"),
        (('sync = "no"', 'sync = "no"\npath = "files"'), "does not begin with /"),
        ((GOOD, GOOD * 2), "the name is taken"),
        ((GOOD, ""), "missing required field `server`"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD.replace(*change))
    message = str(caught.value)
    assert said in message
    assert message.startswith(str(tmp_path / "servers.toml"))
    assert "\n" not in message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_servers(tmp_path / "none.toml")
