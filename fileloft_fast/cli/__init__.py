"""The command line: the only room that reads os.environ, prints, or ends the process."""

from __future__ import annotations

import os
import sys

from fileloft_fast.app.workers import HANDED
from fileloft_fast.cli.command import run

__all__ = ["main", "run"]


def main() -> None:
    """Run the command that sys.argv asks for, and exit with its status."""
    env = dict(os.environ)
    os.environ.pop(HANDED, None)  # meant for this process, not for those that it starts
    sys.exit(run(sys.argv[1:], env))
