"""Pages in a browser: files that lie beside this code, read at start, each an operation.

Whoever serves them (``http1.front.Desk``) looks a path up and lets only GET and HEAD through.
"""

from __future__ import annotations

from fileloft_fast.pages.people import PAGE_PATH, ROOM, people_operations

__all__ = ["PAGE_PATH", "ROOM", "people_operations"]
