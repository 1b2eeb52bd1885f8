"""``check``: the effective settings with their sources, and all that is wrong with them."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fileloft_fast.access.grant import load_jwt
from fileloft_fast.config import (
    AuthMode,
    LockMode,
    problems,
    read_settings,
    readings,
    unknown_variables,
)
from fileloft_fast.errors import ConfigError
from fileloft_fast.listen import tls_context
from fileloft_fast.stores.remote.load import load_objects
from fileloft_fast.uploads.leases import load_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fileloft_fast.config import Reading, Settings


def check(env: Mapping[str, str]) -> int:
    """Print the settings of *env*, then a line for each thing wrong; return 0 where nothing is."""
    for reading in readings(env).values():
        if reading.problem is None:
            sys.stdout.write(f"{render_reading(reading)}\n")
    for variable in unknown_variables(env):
        sys.stdout.write(f"warning: {variable}: not a setting of this version; ignored\n")
    wrong = [str(problem) for problem in problems(env)]
    if not wrong:
        settings = read_settings(env)
        wrong = list(data_problems(Path(settings.data_dir), settings.min_free_bytes))
        wrong += [*tls_problems(settings), *extra_problems(settings), *storage_problems(settings)]
    for line in wrong:
        sys.stdout.write(f"error: {line}\n")
    sys.stdout.write("not fit to serve\n" if wrong else "ok\n")
    return 1 if wrong else 0


def render_reading(reading: Reading) -> str:
    """Return one line: the variable, its effective value and where that came from."""
    row, source = reading.row, reading.source
    if not source:
        return f"{row.variable} = {row.default or '(none)'}  # default"
    value = "(set)" if row.secret else render_value(reading.value)
    return f"{row.variable} = {value}  # environment, {source}"


def render_value(value: object) -> str:
    """Return *value* as one would write it into the variable; sizes as plain bytes."""
    match value:
        case bool():
            return "1" if value else "0"
        case tuple():
            return ",".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def data_problems(directory: Path, min_free_bytes: int) -> Iterator[str]:
    """Yield what keeps *directory* from taking uploads; leaves nothing behind in it.

    A directory that does not exist is made at the start, so its nearest parent is asked instead.
    """
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            space = os.fstatvfs(probe.fileno())
    except OSError as error:
        yield f"FILELOFT_DATA_DIR: cannot write to {directory}: {error.strerror}"
        return
    free = space.f_bavail * space.f_frsize
    if free < min_free_bytes:
        yield f"FILELOFT_MIN_FREE: {directory} has {free} bytes free, less than {min_free_bytes}"


def _load_hooks(settings: Settings) -> None:
    """Look for what hooks need; imported here, since a server without them loads none of it."""
    import_module("fileloft_fast.hooks.load").load_sinks(settings)


def tls_problems(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with the files of certificate and key."""
    try:
        tls_context(settings)
    except ConfigError as unfit:
        yield str(unfit)


def storage_problems(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with the named storages; print a line for each that is not."""
    if not settings.storages and settings.storages_file is None:
        return
    # Imported here, since a server without them loads none of it.
    storages = import_module("fileloft_fast.app.storages")
    try:
        declared = storages.check_storages(settings)
    except ConfigError as unfit:
        yield str(unfit)
        return
    for each in declared:
        sys.stdout.write(f"storage {each}\n")
        if each.folder:
            yield from (
                problem.replace("FILELOFT_DATA_DIR", f"FILELOFT_STORAGES: {each.name}")
                for problem in data_problems(Path(each.folder), settings.min_free_bytes)
            )


def extra_problems(settings: Settings) -> Iterator[str]:
    """Yield what is not installed that *settings* need; print a line for what is."""
    needs: list[tuple[str, Callable[[], object]]] = []
    if settings.remote:
        needs.append((f"FILELOFT_BACKEND={settings.backend}", lambda: load_objects(settings)))
    if settings.lock is LockMode.REDIS:
        needs.append(("FILELOFT_LOCK=redis", lambda: load_redis(settings.redis_url, 10.0)))
    if {AuthMode.JWT, AuthMode.GRANT} & set(settings.auth):
        needs.append((f"FILELOFT_AUTH={','.join(settings.auth)}", load_jwt))
    if settings.hooks_wanted:
        needs.append(("FILELOFT_HOOKS", lambda: _load_hooks(settings)))
    for asked, load in needs:
        try:
            load()
        except ConfigError as missing:
            yield str(missing)
        else:
            sys.stdout.write(f"{asked}: its extra is installed\n")
