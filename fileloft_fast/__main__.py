"""``python -m fileloft_fast`` is the command ``fileloft-fast``."""

from __future__ import annotations

from fileloft_fast.cli import main

if __name__ == "__main__":
    main()
