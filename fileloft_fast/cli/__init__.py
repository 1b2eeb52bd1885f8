"""The command line: the only room that reads os.environ, prints, or ends the process."""

from __future__ import annotations

import os
import sys

from fileloft_fast.cli.command import run

__all__ = ["main", "run"]


def main() -> None:
    """Run the command that sys.argv asks for, and exit with its status."""
    sys.exit(run(sys.argv[1:], os.environ))
