"""Which command was asked for, and its exit status: 0 done, 1 failed, 2 wrong settings or usage."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fileloft_fast import app
from fileloft_fast.cli.check import check
from fileloft_fast.cli.sweep import sweep
from fileloft_fast.config import ROWS, read_settings, unknown_variables
from fileloft_fast.errors import ConfigError
from fileloft_fast.observe.log import configure_log, fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fileloft_fast.config import Settings

LOG: Final = logging.getLogger(__name__)

_REFUSED: Final = (
    "FILELOFT_TLS_CERT, _TLS_KEY, _TLS_MODE and FILELOFT_ENABLE_H2C are not in this version: a\n"
    "start with one of them set stops and says so. The credentials of an object store are read\n"
    "where its own tools read them: AWS's variables and files, Google's Application Default\n"
    "Credentials, Azure's DefaultAzureCredential."
)


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command of *argv* with the settings of *env* and return the exit status.

    Raises SystemExit for ``--help`` and wrong usage, as argparse does.
    """
    wanted = _parser().parse_args(argv)
    if wanted.version:
        sys.stdout.write(f"fileloft-fast {version('fileloft-fast')}\n")
        return 0
    if wanted.command == "check":
        return check(env)
    return _work(env, sweep if wanted.command == "sweep" else app.serve)


def _work(env: Mapping[str, str], work: Callable[[Settings], int]) -> int:
    """Do *work* with the settings of *env*. Blocks."""
    try:
        settings = read_settings(env)
        configure_log(settings.log_level)
        for variable in unknown_variables(env):
            LOG.warning("unknown setting ignored", extra=fields(variable=variable))
        return work(settings)
    except ConfigError as wrong:
        sys.stderr.write(f"fileloft-fast: {wrong}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fileloft-fast",
        description="A drop-in tus 1.0 upload endpoint at native speed.",
        epilog=render_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "command",
        nargs="?",
        choices=["serve", "check", "sweep"],
        default="serve",
        help="serve uploads (the default), print the effective settings and what is wrong, "
        "or delete once what has expired and what belongs to no upload",
    )
    return parser


def render_settings_help() -> str:
    """Return the settings with default and meaning, as ``--help`` ends with them."""
    lines = ["settings, read from the environment (switches take 1 or true; blank is unset):"]
    for row in ROWS.values():
        also = f"; where unset, {row.also}" if row.also else ""
        lines += [f"  {row.variable} [{row.default or 'unset'}]", f"      {row.meaning}{also}"]
    return "\n".join([*lines, "", _REFUSED])
