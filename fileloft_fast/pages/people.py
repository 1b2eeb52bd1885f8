"""The page by which people upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.pages.served import file_operation, redirect_operation

if TYPE_CHECKING:
    from fileloft_fast.observe.operations import Operation

ROOM: Final = "ui"
"""The first segment of every path of the pages."""

PAGE_PATH: Final = f"/{ROOM}/"

_FILES: Final = (
    *("app.css", "app.js", "base.css", "chosen.js", "hash.js", "icon.svg", "memory.js"),
    *("queue.js", "row.js", "sha256.js", "tus.js", "upload.js", "words.js"),
)


def people_operations(base_path: str, *, downloads: bool = False) -> dict[str, Operation]:
    """Return what serves the page for uploads below *base_path*, by path. Reads its files.

    *downloads*: finished uploads can be had back, so the page links to them. It finds uploads by a
    relative URL, so that a proxy may put both below a prefix.
    """
    filled = {"endpoint": f"..{base_path}", "downloads": "on" if downloads else "off"}
    served = {PAGE_PATH + name: file_operation(name) for name in _FILES}
    return {
        PAGE_PATH.rstrip("/"): redirect_operation(f"{ROOM}/"),
        PAGE_PATH: file_operation("index.html", **filled),
        **served,
    }
