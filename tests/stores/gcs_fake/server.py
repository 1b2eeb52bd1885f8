"""Google's JSON API of one bucket, and what a test tells the fake, over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiohttp import web

from tests.stores.gcs_fake.bucket import RefusalError
from tests.stores.gcs_fake.faults import Faults
from tests.stores.gcs_fake.uploads import CutShortError, Span, Uploads, body_pieces, parse_span

if TYPE_CHECKING:
    from tests.stores.gcs_fake.bucket import Bucket, StoredObject
    from tests.stores.gcs_fake.faults import Fault
    from tests.stores.gcs_fake.identity import Identity

_MOST_SOURCES: Final = 32
_PIECE: Final = 65_536
_PATHS: Final = {
    "upload": re.compile(r"/upload/storage/v1/b/([^/]+)/o"),
    "list": re.compile(r"/storage/v1/b/([^/]+)/o"),
    "object": re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)"),
    "compose": re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/compose"),
    "plain": re.compile(r"/([^/_][^/]*)/(.+)"),
}
Handler = Callable[[web.Request, str, "Fault | None"], Awaitable[web.StreamResponse]]


class ProxyPage(web.Response):
    """What something between a client and Google answers."""


class GoogleStorage:
    """The bucket *name* as Google serves it."""

    def __init__(self, name: str, bucket: Bucket, identity: Identity, page: int) -> None:
        self.faults = Faults()
        self._name = name
        self._bucket = bucket
        self._identity = identity
        self._page = page
        self._uploads = Uploads(bucket)
        self._handlers: dict[str, Handler] = {
            "create": self._create,
            "put": self._put,
            "abort": self._abort,
            "list": self._list,
            "head": self._head,
            "get": self._get,
            "signed": self._get,
            "delete": self._delete,
            "compose": self._compose,
            **dict.fromkeys(("part", "last", "status", "finish"), self._chunk),
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, or fail it as a test wants."""
        try:
            found = await self._identity.answer(request)
            response = found or await self._serve(request)
        except RefusalError as refusal:
            response = _refused(refusal, request)
        except CutShortError:
            return _abort(request)
        if not response.prepared and not isinstance(response, ProxyPage):
            response.headers["X-GUploader-UploadID"] = "AHxI1nP_fake"
        return response

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        operation, bucket, key = _asked_for(request)
        fault = self.faults.next(operation)
        kind = "" if fault is None else fault.kind
        if fault is not None and kind == "status":
            raise RefusalError(fault.status, "as a test wants it")
        if fault is not None and kind == "proxy":
            return ProxyPage(status=fault.status, text="<html>404 Not Found</html>")
        if fault is not None and kind == "wait":
            await asyncio.sleep(fault.seconds)  # the slowness is what is simulated
        self._check(request, operation)
        if bucket != self._name:
            raise RefusalError(404, "The specified bucket does not exist.")
        response = await self._handlers[operation](request, key, fault)
        return _abort(request) if kind == "lose" else response

    def _check(self, request: web.Request, operation: str) -> None:
        if operation == "signed":
            self._identity.verify_url(request)
        else:
            # The address of a session is a secret, and enough.
            self._identity.check(request.headers, needed="upload_id" not in request.query)

    async def _create(self, request: web.Request, _: str, __: Fault | None) -> web.Response:
        resource = await request.json() if request.can_read_body else {}
        resource.setdefault("name", request.query.get("name"))
        resource.setdefault("contentType", request.headers.get("X-Upload-Content-Type", ""))
        session = self._bucket.open_session(resource, _wanted(request))
        location = request.url.with_query(uploadType="resumable", upload_id=session.upload)
        return web.Response(headers={"Location": str(location)})

    async def _chunk(self, request: web.Request, _: str, fault: Fault | None) -> web.Response:
        name = await self._uploads.put(request, _span(request), fault)
        if name is None:
            return self._uploads.incomplete(self._uploads.session(request))
        return self._told(self._bucket.found(name))

    async def _abort(self, request: web.Request, _: str, __: Fault | None) -> web.Response:
        session = self._uploads.session(request)
        if session.state == "open":
            self._bucket.end(session, "cancelled")
        raise RefusalError(499, "Client Closed Request")

    async def _put(self, request: web.Request, _: str, fault: Fault | None) -> web.Response:
        body = b"".join([data async for data in body_pieces(request, fault)])
        if request.query.get("uploadType") == "media":
            content = body
            resource: dict[str, object] = {"name": request.query["name"]}
        else:
            resource, content = _related(request, body)
        return self._told(self._bucket.put(resource, _wanted(request), content))

    async def _list(self, request: web.Request, _: str, __: Fault | None) -> web.Response:
        names = self._bucket.names(
            request.query.get("prefix", ""), request.query.get("pageToken", "")
        )
        most = min(int(request.query.get("maxResults", "1000")), self._page)
        page = [name for name, _ in zip(names, range(most + 1), strict=False)]
        answer: dict[str, object] = {"kind": "storage#objects"}
        if page:
            items = [self._resource(self._bucket.objects[name]) for name in page[:most]]
            answer["items"] = items
        if len(page) > most:
            answer["nextPageToken"] = page[most - 1]
        return web.json_response(answer)

    async def _head(self, request: web.Request, key: str, _: Fault | None) -> web.Response:
        return self._told(self._bucket.found(key, request.query.get("generation")))

    async def _get(self, request: web.Request, key: str, fault: Fault | None) -> web.StreamResponse:
        stored = self._bucket.found(key, request.query.get("generation"))
        if stored.attributes.get("contentEncoding") == "gzip" and not _takes_gzip(request):
            unpacked = gzip.decompress(self._bucket.path(stored).read_bytes())
            return web.Response(body=unpacked)  # the whole of it, Range or not
        start, end = _wanted_range(request, stored.size)
        response = web.StreamResponse(headers=_media_headers(stored))
        response.content_length = end - start
        if "Range" in request.headers:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
        with self._bucket.path(stored).open("rb") as file:
            file.seek(start)
            await response.prepare(request)
            left = fault.size if fault is not None and fault.kind == "cut" else end - start
            while left and (data := file.read(min(_PIECE, left))):
                await response.write(data)
                left -= len(data)
                if fault is not None and fault.kind == "trickle":
                    await asyncio.sleep(fault.seconds)  # the slowness is what is simulated
        if fault is not None and fault.kind == "cut":
            raise CutShortError
        return response

    async def _delete(self, request: web.Request, key: str, _: Fault | None) -> web.Response:
        stored = self._bucket.found(key, request.query.get("generation"))
        self._bucket.check(key, _wanted(request))
        self._bucket.delete(stored)
        return web.Response(status=204)

    async def _compose(self, request: web.Request, key: str, _: Fault | None) -> web.Response:
        asked = await request.json()
        named = asked["sourceObjects"]
        if not 1 <= len(named) <= _MOST_SOURCES:
            raise RefusalError(400, "the number of source components exceeds the maximum (32)")
        sources = [self._bucket.found(one["name"], one.get("generation")) for one in named]
        resource = {**asked.get("destination", {}), "name": key}
        return self._told(self._bucket.compose(resource, _wanted(request), sources))

    def _told(self, stored: StoredObject) -> web.Response:
        return web.json_response(self._resource(stored))

    def _resource(self, stored: StoredObject) -> dict[str, object]:
        resource: dict[str, object] = {
            "kind": "storage#object",
            "bucket": self._name,
            "name": stored.name,
            "generation": str(stored.generation),
            "metageneration": "1",
            "size": str(stored.size),
            "crc32c": stored.crc32c,
            **stored.attributes,
        }
        return {**resource, "metadata": stored.metadata} if stored.metadata else resource


def _asked_for(request: web.Request) -> tuple[str, str, str]:
    """Return (operation, bucket, key) of a request; see ``Fault``. Raises RefusalError."""
    path, method = request.rel_url.raw_path, request.method
    for kind, pattern in _PATHS.items():
        matched = pattern.fullmatch(path)
        if matched is not None:
            bucket, key = (*map(unquote, matched.groups()), "")[:2]
            return _operation(request, kind, method), bucket, key
    raise RefusalError(404, f"no such path: {path}")


def _operation(request: web.Request, kind: str, method: str) -> str:
    query = request.query
    if (kind, method) == ("upload", "PUT"):
        return _span(request).operation
    resumable = query.get("uploadType") == "resumable"
    operation = {
        ("upload", "POST"): "create" if resumable else "put",
        ("upload", "DELETE"): "abort",
        ("list", "GET"): "list",
        ("object", "GET"): "get" if query.get("alt") == "media" else "head",
        ("object", "DELETE"): "delete",
        ("compose", "POST"): "compose",
        ("plain", "GET"): "signed",
    }.get((kind, method))
    if operation is None:
        raise RefusalError(405, f"{method} is not allowed here")
    return operation


def _span(request: web.Request) -> Span:
    return parse_span(request.headers.get("Content-Range", ""))


def _wanted(request: web.Request) -> int | None:
    told = request.query.get("ifGenerationMatch")
    return None if told is None else int(told)


def _wanted_range(request: web.Request, size: int) -> tuple[int, int]:
    """Return the bytes that a Range names. Raises RefusalError."""
    told = request.headers.get("Range")
    if told is None:
        return 0, size
    matched = re.fullmatch(r"bytes=(\d+)-(\d*)", told)
    if matched is None or int(matched[1]) >= size:
        raise RefusalError(416, "The requested range cannot be satisfied.")
    return int(matched[1]), min(int(matched[2]) + 1, size) if matched[2] else size


def _takes_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def _media_headers(stored: StoredObject) -> dict[str, str]:
    names = {
        "contentType": "Content-Type",
        "contentEncoding": "Content-Encoding",
        "contentDisposition": "Content-Disposition",
    }
    return {
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Hash": f"crc32c={stored.crc32c}",
        **{names[name]: value for name, value in stored.attributes.items()},
    }


def _related(request: web.Request, body: bytes) -> tuple[dict[str, object], bytes]:
    """Return metadata and content of a multipart/related body. Raises RefusalError."""
    matched = re.fullmatch(
        r'multipart/related; ?boundary="?([^"]+)"?', request.headers["Content-Type"]
    )
    if matched is None or request.query.get("uploadType") != "multipart":
        raise RefusalError(400, "Bad multipart body")
    line = b"--" + matched[1].encode()
    start, end = body.find(line), body.rfind(b"\r\n" + line + b"--")
    middle = body.find(b"\r\n" + line + b"\r\n", start)
    if start != 0 or not 0 < middle < end:
        raise RefusalError(400, "Bad multipart body")
    _, _, resource = body[:middle].partition(b"\r\n\r\n")
    _, _, content = body[middle + 4 + len(line) : end].partition(b"\r\n\r\n")
    return json.loads(resource), content


def _refused(refusal: RefusalError, request: web.Request) -> web.Response:
    if "upload_id" in request.query or request.query.get("alt") == "media":
        return web.Response(text=refusal.message, status=refusal.status, reason="Refused")
    error = {"code": refusal.status, "message": refusal.message}
    return web.json_response({"error": error}, status=refusal.status, reason="Refused")


def _abort(request: web.Request) -> web.StreamResponse:
    """End the connection; whoever waits for an answer gets none."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
