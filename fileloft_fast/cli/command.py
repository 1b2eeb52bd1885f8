"""Which command was asked for, and its exit status: 0 done, 1 failed, 2 wrong settings or usage."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fileloft_fast import app
from fileloft_fast.app.workers import Launch
from fileloft_fast.cli import adopt, bench, uploads
from fileloft_fast.cli import grant as grants
from fileloft_fast.cli.check import check
from fileloft_fast.cli.health import health
from fileloft_fast.cli.sweep import sweep
from fileloft_fast.config import ROWS, LogFormat, read_settings, unknown_variables
from fileloft_fast.errors import ConfigError
from fileloft_fast.observe.log import configure_log, fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fileloft_fast.config import Settings

LOG: Final = logging.getLogger(__name__)

_REFUSED: Final = (
    "FILELOFT_ENABLE_H2C is not in this version: a start with it set stops and says so. The\n"
    "credentials of an object store are read where its own tools read them: AWS's variables and\n"
    "files, Google's Application Default Credentials, Azure's DefaultAzureCredential."
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, what it does in a line, what runs it, and its own arguments.

    ``run`` is handed what was parsed and the environment, and returns the exit status.
    """

    name: str
    meaning: str
    run: Callable[[argparse.Namespace, Mapping[str, str]], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command of *argv* with the settings of *env* and return the exit status.

    Raises SystemExit for ``--help`` and wrong usage, as argparse does.
    """
    wanted = _parser().parse_args(argv)
    if wanted.version:
        sys.stdout.write(f"fileloft-fast {version('fileloft-fast')}\n")
        return 0
    command: Command = wanted.command
    wanted.words = tuple(argv)
    return command.run(wanted, env)


def with_settings(
    work: Callable[[Settings, argparse.Namespace], int],
) -> Callable[[argparse.Namespace, Mapping[str, str]], int]:
    """Return what runs *work* with the settings of the environment, the log set up. It blocks."""

    def run_it(wanted: argparse.Namespace, env: Mapping[str, str]) -> int:
        try:
            settings = read_settings(env)
            configure_log(settings.log_level, as_json=settings.log_format is LogFormat.JSON)
            for variable in unknown_variables(env):
                LOG.warning("unknown setting ignored", extra=fields(variable=variable))
            return work(settings, wanted)
        except ConfigError as wrong:
            sys.stderr.write(f"fileloft-fast: {wrong}\n")
            return 2

    return run_it


COMMANDS: Final = (
    Command(
        "serve",
        "serve uploads (the default)",
        lambda wanted, env: with_settings(
            lambda settings, _wanted: app.serve(settings, Launch.of(env))
        )(wanted, env),
    ),
    Command(
        "check",
        "print the effective settings and what is wrong with them",
        lambda _wanted, env: check(env),
    ),
    Command(
        "sweep",
        "delete once what has expired and what belongs to no upload",
        with_settings(lambda settings, _wanted: sweep(settings)),
    ),
    Command(
        "ls",
        "list the uploads of the data directory",
        with_settings(uploads.ls),
        uploads.add_ls_arguments,
    ),
    Command(
        "show",
        "print what is known of one upload of the data directory",
        with_settings(uploads.show),
        uploads.add_show_arguments,
    ),
    Command(
        "rm",
        "delete uploads, wherever they are kept",
        with_settings(uploads.rm),
        uploads.add_rm_arguments,
    ),
    Command(
        "health",
        "ask the server that runs with these settings whether it lives, as a HEALTHCHECK does",
        with_settings(lambda settings, _wanted: health(settings)),
    ),
    Command(
        "adopt",
        "go on with the uploads that fileloft or tusd left in a directory",
        with_settings(adopt.adopt),
        adopt.add_arguments,
    ),
    Command(
        "grant",
        "print a token that allows to upload, signed by FILELOFT_GRANT_SECRET",
        grants.grant,
        grants.add_arguments,
    ),
    Command(
        "bench",
        "load any tus server, and say what it does and what it costs",
        bench.bench,
        bench.add_arguments,
    ),
)
"""The table of commands; the first one is run where none is named."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fileloft-fast",
        description="A drop-in tus 1.0 upload endpoint at native speed.",
        epilog=render_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.set_defaults(command=COMMANDS[0])
    commands = parser.add_subparsers(title="commands", metavar="command")
    for command in COMMANDS:
        its = commands.add_parser(command.name, help=command.meaning, description=command.meaning)
        its.set_defaults(command=command)
        if command.add_arguments is not None:
            command.add_arguments(its)
    return parser


def render_settings_help() -> str:
    """Return the settings with default and meaning, as ``--help`` ends with them."""
    lines = ["settings, read from the environment (switches take 1 or true; blank is unset):"]
    for row in ROWS.values():
        also = f"; where unset, {row.also}" if row.also else ""
        lines += [f"  {row.variable} [{row.default or 'unset'}]", f"      {row.meaning}{also}"]
    return "\n".join([*lines, "", _REFUSED])
