"""A Dockerfile as stages and steps, and what of a folder its build sees."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
KNOWN: Final = frozenset(
    {
        *("ARG", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK"),
        *("LABEL", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_FLAG: Final = re.compile(r"--([a-z-]+)=(\S+)\s+")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its word, the ``--flags`` before its text, and the text as it stands."""

    line: int
    word: str
    flags: Mapping[str, str]
    text: str

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """Return the arguments: the JSON form as it is, any other with *variables* put in."""
        if self.text.startswith("["):
            return [str(word) for word in json.loads(self.text)]
        return shlex.split(put_in(self.text, variables))

    def command(self) -> list[str]:
        """Return what is run for RUN, ENTRYPOINT, or the CMD of a HEALTHCHECK."""
        text = self.text.removeprefix("CMD ").strip()
        if text.startswith("["):
            return [str(word) for word in json.loads(text)]
        return ["/bin/sh", "-c", text]


@dataclass(frozen=True, slots=True)
class Stage:
    """What one FROM begins."""

    name: str
    base: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Config:
    """What an image says about how it is run."""

    env: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    user: str = "0"
    workdir: str = "/"

    def take(self, step: Step, variables: Mapping[str, str]) -> None:
        """Take over what *step* says; the steps that change files say nothing here."""
        match step.word:
            case "ENV":
                pairs = (word.partition("=") for word in step.words(variables))
                self.env.update({name: value for name, _, value in pairs})
            case "VOLUME":
                self.volumes += step.words(variables)
            case "EXPOSE":
                self.ports += step.words(variables)
            case "USER":
                (self.user,) = step.words(variables)
            case "WORKDIR":
                (self.workdir,) = step.words(variables)
            case "ENTRYPOINT":
                self.entrypoint = step.command()
            case "HEALTHCHECK":
                self.healthcheck = step.command()
            case _:
                pass


def parse_dockerfile(text: str, arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """Return the stages of *text*, the last one named ``""`` where its FROM names none.

    *arguments* are the build arguments. Raises ValueError for an instruction that is not known.
    """
    given = arguments or {}
    variables: dict[str, str] = {}
    stages: list[tuple[str, str, list[Step]]] = []
    for step in _steps(text):
        if step.word == "FROM":
            base, *named = step.words(variables)
            stages.append((named[1] if named else "", base, []))
        elif step.word not in KNOWN:
            raise ValueError(f"line {step.line}: {step.word} is not known here")
        elif stages:
            stages[-1][2].append(step)
        else:
            name, _, default = step.text.partition("=")
            variables[name] = given.get(name, default)
    return [Stage(name, base, tuple(steps)) for name, base, steps in stages]


def put_in(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$NAME`` and ``${NAME}``; a name without a value is nothing."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


def _steps(text: str) -> Iterator[Step]:
    """Yield the instructions, their continued lines put together and comments left out."""
    pieces: list[str] = []
    begin = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        begin = begin if pieces else number
        pieces.append(line.removesuffix("\\").strip())
        if line.endswith("\\"):
            continue
        word, _, rest = " ".join(pieces).partition(" ")
        flags = {}
        while found := _FLAG.match(rest):
            flags[found[1]] = found[2]
            rest = rest[found.end() :]
        yield Step(begin, word, flags, rest)
        pieces = []


def context_files(root: Path, ignore: str) -> list[str]:
    """Return the files under *root* that a build sees, given the text of ``.dockerignore``."""
    rules = [line.strip() for line in ignore.splitlines() if line.strip() and line[0] != "#"]
    found: list[str] = []
    for top in root.iterdir():
        again = any(rule.startswith(f"!{top.name}/") for rule in rules)
        if _ignored(top.name, rules) and not again:
            continue  # spares us the walk through what is large
        paths = [top] if top.is_file() else (path for path in top.rglob("*") if path.is_file())
        found += [path.relative_to(root).as_posix() for path in paths]
    return sorted(name for name in found if not _ignored(name, rules))


def _ignored(name: str, rules: list[str]) -> bool:
    """Return whether the last rule that matches *name*, or a folder it is in, leaves it out."""
    ways = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        if any(
            _matches(way, pattern)
            or (anywhere != pattern and _matches(way.split("/")[-1], anywhere))
            for way in ways
        ):
            ignored = not rule.startswith("!")
    return ignored


def _matches(way: str, pattern: str) -> bool:
    """Match as Docker does: a star stays within one folder."""
    return way.count("/") == pattern.count("/") and fnmatch.fnmatchcase(way, pattern)
