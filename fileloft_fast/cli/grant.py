"""``grant``: print a token that allows to upload, for a backend or a person to hand on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from fileloft_fast.access import Operation, issue_grant
from fileloft_fast.access.grant import UPLOAD
from fileloft_fast.cli.arguments import parse_duration, typed
from fileloft_fast.config import readings
from fileloft_fast.config.values import parse_count, parse_size
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

T = TypeVar("T")


def add_arguments(parser: ArgumentParser) -> None:
    """Add what limits a grant."""
    parser.add_argument(
        "--ops",
        type=typed(_operations),
        default=UPLOAD,
        metavar="OP,…",
        help=f"of {', '.join(Operation)}; unset: {','.join(UPLOAD)}",
    )
    parser.add_argument(
        "--expires", type=typed(parse_duration), default=3600.0, metavar="TIME",
        help="how long it can be used: 90s, 15m, 1h (the default), 7d",
    )  # fmt: skip
    parser.add_argument("--subject", default="", help="whose the uploads are; unset: the grant's")
    parser.add_argument(
        "--uploads", type=typed(parse_count), default=1, metavar="N",
        help="how many uploads may be made with it (1); 0 is any number",
    )  # fmt: skip
    parser.add_argument(
        "--max-size", type=typed(parse_size), metavar="BYTES", help="largest upload: 512K, 10G"
    )
    parser.add_argument(
        "--metadata", type=typed(_pair), action="append", default=[], metavar="KEY=VALUE",
        help="what each creation must say exactly so; may be repeated",
    )  # fmt: skip
    parser.add_argument("--prefix", help="what the ids begin with, before a dash")
    parser.add_argument("--upload", metavar="ID", help="the one upload that it is about")


def grant(wanted: Namespace, env: Mapping[str, str]) -> int:
    """Print a grant signed with the first FILELOFT_GRANT_SECRET of *env*; return the exit status.

    It need not be a server's environment: nothing but the secret is read of it.
    """
    try:
        sys.stdout.write(f"{_issue(wanted, _secret(env))}\n")
    except (ConfigError, ValueError) as wrong:
        sys.stderr.write(f"fileloft-fast: {wrong}\n")
        return 2
    return 0


def _secret(env: Mapping[str, str]) -> str:
    reading = readings(env)["grant_secrets"]
    if reading.problem is not None:
        raise reading.problem
    if not isinstance(reading.value, tuple) or not reading.value:
        raise ConfigError("FILELOFT_GRANT_SECRET: must be set: it signs the grant")
    return str(reading.value[0])


def _issue(wanted: Namespace, secret: str) -> str:
    return issue_grant(
        secret,
        expires_in_s=wanted.expires,
        operations=wanted.ops,
        subject=wanted.subject,
        max_size=wanted.max_size,
        metadata=dict(wanted.metadata),
        prefix=wanted.prefix,
        uploads=None if wanted.upload else wanted.uploads or None,
        upload=wanted.upload,
    )


def _operations(text: str) -> tuple[Operation, ...]:
    words = [word.strip() for word in text.split(",")]
    if not set(words) <= set(Operation):
        raise ValueError(f"must be of {', '.join(Operation)}, separated by commas")
    return tuple(Operation(word) for word in words)


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("must be KEY=VALUE")
    return key, value
