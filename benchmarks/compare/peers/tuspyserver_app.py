"""tuspyserver under uvicorn with uvloop and httptools: tuspyserver_app.py PORT DIRECTORY.

Runs in the venv that ``prepare`` makes, not in the project's.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router


def main() -> None:
    """Serve until a signal ends it; no line for each request, as with the others."""
    port, directory = sys.argv[1:]
    app = FastAPI()
    app.include_router(create_tus_router(prefix="files", files_dir=directory))
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
