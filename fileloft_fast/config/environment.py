"""Settings from an environment that is handed in; nothing here looks at os.environ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fileloft_fast.config.settings import BUCKETS, ROWS, Settings
from fileloft_fast.config.values import parse_flag
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fileloft_fast.config.rows import Row


@dataclass(frozen=True, slots=True)
class Reading:
    """One setting as it was read: its value, the variable it came from ("" = the default)."""

    row: Row
    value: object
    source: str = ""
    problem: ConfigError | None = None


def read_settings(env: Mapping[str, str]) -> Settings:
    """Return the settings that *env* asks for; blank is unset.

    Raises ConfigError, whose message begins with the variable, for the first thing that is wrong.
    """
    for problem in problems(env):
        raise problem
    return _settings(env)


def problems(env: Mapping[str, str]) -> list[ConfigError]:
    """Return everything that is wrong with *env*, each naming its variable; empty where it is fit.

    Contradictions between settings show only once each of them can be read.
    """
    found = [
        *_refused_h2c(env.get("FILELOFT_ENABLE_H2C", "").strip()),
        *(r.problem for r in readings(env).values() if r.problem),
    ]
    if not found:
        try:
            _settings(env)
        except ConfigError as contradiction:
            found.append(contradiction)
    return found


def readings(env: Mapping[str, str]) -> dict[str, Reading]:
    """Read every row of the table, by field name; an unset backend follows from the bucket."""
    read = {name: _read_row(row, env) for name, row in ROWS.items()}
    if not read["backend"].source:
        read["backend"] = _derived_backend(read["backend"], env)
    return read


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Return the FILELOFT_* variables that are set and that no setting of this version reads."""
    known = {row.variable for row in ROWS.values()} | {"FILELOFT_ENABLE_H2C"}
    return sorted(
        name
        for name in env
        if name.startswith("FILELOFT_") and name not in known and env[name].strip()
    )


def _settings(env: Mapping[str, str]) -> Settings:
    values: dict[str, Any] = {name: reading.value for name, reading in readings(env).items()}
    return Settings(**values)


def _derived_backend(default: Reading, env: Mapping[str, str]) -> Reading:
    asking = [variable for variable in BUCKETS if env.get(variable, "").strip()]
    if not asking:
        return default
    if len(asking) > 1:
        both = " and ".join(asking)
        contradiction = ConfigError(f"FILELOFT_BACKEND: must be set where {both} are")
        return Reading(default.row, None, asking[0], contradiction)
    return Reading(default.row, BUCKETS[asking[0]], asking[0])


def _read_row(row: Row, env: Mapping[str, str]) -> Reading:
    for variable in filter(None, (row.variable, row.also)):
        text = env.get(variable, "").strip()
        if text:
            try:
                return Reading(row, row.parse(text), variable)
            except ValueError as wrong:
                shown = "" if row.secret else f": {text!r}"
                return Reading(row, None, variable, ConfigError(f"{variable}: {wrong}{shown}"))
    return Reading(row, row.parse(row.default))


def _refused_h2c(text: str) -> Iterator[ConfigError]:
    try:
        if text and parse_flag(text):
            yield ConfigError("FILELOFT_ENABLE_H2C: h2c is not supported in this version")
    except ValueError as wrong:
        yield ConfigError(f"FILELOFT_ENABLE_H2C: {wrong}: {text!r}")
