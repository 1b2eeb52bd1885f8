"""Files of Django in a storage: a backend for its fields, and views for uploads past the app.

    STORAGES = {
        "default": {
            "BACKEND": "myapp.files.FileloftStorage",
            "OPTIONS": {"url": "https://files.example", "key": KEY, "storage": "media"},
        },
        ...
    }

The storage has relaxed paths (``paths = "relaxed"``), since names of Django have a full stop.
"""

from __future__ import annotations

import mimetypes
import posixpath
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from fileloft_fast import storage as fileloft

if TYPE_CHECKING:
    from typing import BinaryIO


class FileloftStorage(Storage):
    """A storage of fileloft-fast as Django wants one; every name that it saves is a new one."""

    def __init__(self, *, url: str, key: str, storage: str = "public", url_s: int = 3600) -> None:
        self.client = fileloft.Storage(url, key, storage)
        self._url_s = url_s

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """Return a name that no other file has, without asking for one after the other."""
        return fileloft.make_path(posixpath.dirname(name), name, relaxed=True)

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:  # noqa: ARG002 - only for reading
        return ContentFile(self.client.retrieve(name), name)

    def _save(self, name: str, content: File[bytes]) -> str:
        kind, _ = mimetypes.guess_type(name)
        content.seek(0)
        data = cast("BinaryIO", content.file)
        self.client.store(name, data, content_type=kind, overwrite=False)
        return name

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone is removed already."""
        self.client.delete(name)

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        return self.client.exists(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files right in *path*."""
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        below = [found.path.removeprefix(prefix) for found in self.client.list(prefix)]
        folders = {name.partition("/")[0] for name in below if "/" in name}
        return sorted(folders), [name for name in below if "/" not in name]

    def size(self, name: str) -> int:
        """Return how many bytes a file has."""
        return self.client.stat(name).size

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was saved."""
        return datetime.fromtimestamp(self.client.stat(name).modified_at, UTC)

    def url(self, name: str | None) -> str:
        """Return where everybody, or whoever gets this URL, finds a file."""
        client, name = self.client, name or ""
        return client.public_url(name) or client.signed_url(name, expires_in=self._url_s) or ""


def files() -> fileloft.Storage:
    """Return the client of the default storage."""
    return cast("FileloftStorage", storages["default"]).client


@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Permit one upload to a path that only the session knows."""
    chosen = request.session["upload"] = fileloft.make_path("avatars", "a.png", relaxed=True)
    description = files().create_ticket(chosen, max_size=2_000_000, content_type="image/png")
    return HttpResponse(description.to_json(), content_type="application/json")


@require_POST
def finish(request: HttpRequest) -> HttpResponse:
    """Take the upload that the client says it made, if it did; then its path goes into a model."""
    chosen = request.session.pop("upload", None)
    if chosen is None or not files().verify(chosen):
        return JsonResponse({"error": "nothing was uploaded"}, status=409)
    return JsonResponse({"file": chosen, "url": storages["default"].url(chosen)})


urlpatterns = [path("avatar", begin), path("avatar/done", finish)]
