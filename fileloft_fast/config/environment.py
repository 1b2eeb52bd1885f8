"""Settings from an environment that is handed in; nothing here looks at os.environ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.config.settings import ROWS, Row, Settings
from fileloft_fast.config.values import parse_flag
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BUCKETS: Final = {
    "FILELOFT_S3_BUCKET": "s3",
    "FILELOFT_GCS_BUCKET": "gcs",
    "FILELOFT_AZURE_CONTAINER": "azure",
}


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
    found = [*_refusals(env), *(r.problem for r in readings(env).values() if r.problem)]
    if not found:
        try:
            _settings(env)
        except ConfigError as contradiction:
            found.append(contradiction)
    return found


def readings(env: Mapping[str, str]) -> dict[str, Reading]:
    """Read every row of the table, by field name."""
    return {name: _read_row(row, env) for name, row in ROWS.items()}


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Return the FILELOFT_* variables that are set and that no setting of this version reads."""
    known = {row.variable for row in ROWS.values()} | {"FILELOFT_ENABLE_H2C", *_BUCKETS}
    return sorted(
        name
        for name in env
        if name.startswith("FILELOFT_") and not name.startswith("FILELOFT_TLS_")
        if name not in known and env[name].strip()
    )


def _settings(env: Mapping[str, str]) -> Settings:
    values: dict[str, Any] = {name: reading.value for name, reading in readings(env).items()}
    return Settings(**values)


def _read_row(row: Row, env: Mapping[str, str]) -> Reading:
    for variable in filter(None, (row.variable, row.also)):
        text = env.get(variable, "").strip()
        if text:
            try:
                return Reading(row, row.parse(text), variable)
            except ValueError as wrong:
                return Reading(row, None, variable, ConfigError(f"{variable}: {wrong}: {text!r}"))
    return Reading(row, row.parse(row.default))


def _refusals(env: Mapping[str, str]) -> Iterator[ConfigError]:
    """Yield an error for each variable that fileloft knows and this version cannot honour."""
    for variable in sorted(env):
        if variable.startswith("FILELOFT_TLS_") and env[variable].strip():
            yield ConfigError(f"{variable}: TLS is not in this version yet; use a proxy")
    yield from _refused_h2c(env.get("FILELOFT_ENABLE_H2C", "").strip())
    if not env.get("FILELOFT_BACKEND", "").strip():
        for variable, backend in _BUCKETS.items():
            if env.get(variable, "").strip():
                yield ConfigError(f"{variable}: backend {backend} is not in this version yet")


def _refused_h2c(text: str) -> Iterator[ConfigError]:
    try:
        if text and parse_flag(text):
            yield ConfigError("FILELOFT_ENABLE_H2C: h2c is not supported in this version")
    except ValueError as wrong:
        yield ConfigError(f"FILELOFT_ENABLE_H2C: {wrong}: {text!r}")
