"""Before everybody else where S3 clients are let in: what is signed as S3 is, is answered here."""

from __future__ import annotations

import secrets as randomness
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from fileloft_fast.errors import FileloftError, RangeNotSatisfiableError
from fileloft_fast.model import Response
from fileloft_fast.s3front.asked import Asked, Operation, operation_of
from fileloft_fast.s3front.buckets import Buckets
from fileloft_fast.s3front.codes import AccessDeniedError, InvalidRequestError, s3_error
from fileloft_fast.s3front.documents import CONTENT_TYPE, render_error
from fileloft_fast.s3front.forms import Forms, is_post_form
from fileloft_fast.s3front.multipart import Multipart
from fileloft_fast.s3front.objects import Objects
from fileloft_fast.s3front.signature import carries_signature, verify
from fileloft_fast.s3front.target import parse_path
from fileloft_fast.storages.addresses import token_of
from fileloft_fast.uploads.failing import after_failure

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead
    from fileloft_fast.storages.named import Storages
    from fileloft_fast.tus.responses import Answers

_NO_STORE: Final = (("Cache-Control", "no-store"),)
_LOOKS: Final = {"GET", "HEAD"}
_VERSION_2: Final = "AWSAccessKeyId="  # what boto3 puts into URLs unless it is told otherwise
_UNSIGNED_S3: Final = ("x-amz-date", "x-amz-content-sha256")

_Call = Callable[[Asked], Awaitable[Response]]


class S3Service:
    """Answers what S3 clients ask of *storages*, who sign with one of *secrets*, by access key.

    *hosts* are names of this server besides ``Host``, which a proxy may have changed. *answers* are
    this server's, for what browsers ask of every answer.
    """

    def __init__(
        self,
        storages: Storages,
        secrets: Mapping[str, str],
        answers: Answers,
        hosts: Sequence[str] = (),
    ) -> None:
        self._storages = storages
        self._secrets = secrets
        self._answers = answers
        self._hosts = hosts
        self._forms = Forms(storages, secrets)
        owner = next(iter(secrets))
        buckets, objects = Buckets(storages, owner), Objects(storages)
        multipart = Multipart(storages, owner)
        self._calls: dict[Operation, _Call] = {
            Operation.LIST_BUCKETS: buckets.list_buckets,
            Operation.HEAD_BUCKET: buckets.head,
            Operation.LOCATE_BUCKET: buckets.locate,
            Operation.LIST_OBJECTS: buckets.list_objects,
            Operation.DELETE_OBJECTS: buckets.delete_objects,
            Operation.GET_OBJECT: objects.get,
            Operation.PUT_OBJECT: objects.put,
            Operation.DELETE_OBJECT: objects.delete,
            Operation.BEGIN_UPLOAD: multipart.begin,
            Operation.PUT_PART: multipart.put_part,
            Operation.LIST_PARTS: multipart.list_parts,
            Operation.LIST_UPLOADS: multipart.list_uploads,
            Operation.COMPLETE_UPLOAD: multipart.complete,
            Operation.ABORT_UPLOAD: multipart.abort,
        }

    async def answer(self, head: RequestHead, body: Body) -> Response:
        """Serve one request; every refusal is a Response."""
        request_id = randomness.token_hex(8).upper()
        try:
            answer = await self._serve(head, body)
        except FileloftError as error:
            ends = self._answers.failed(error, head).close
            answer = replace(_refused(error, head, request_id), close=ends)
            answer = after_failure(error, answer, id=request_id)
        own = (*answer.own, ("X-Amz-Request-Id", request_id))
        says_how_long = any(name == "Cache-Control" for name, _ in own)
        common = self._answers.fields(head, () if says_how_long else _NO_STORE)
        return replace(answer, own=own, common=common)

    def is_for(self, head: RequestHead) -> bool:
        """Return whether *head* is of an S3 client: signed, or meant to be."""
        if head.method == "OPTIONS":
            return False
        if carries_signature(head) or is_post_form(head):
            return True
        return _VERSION_2 in head.query or self._is_unsigned_s3(head)

    def _is_unsigned_s3(self, head: RequestHead) -> bool:
        if not any(name in head.headers for name in _UNSIGNED_S3) or token_of(head):
            return False
        storage = self._storages.by_name.get(parse_path(head.path)[0])
        return not (head.method in _LOOKS and storage is not None and storage.settings.public)

    async def _serve(self, head: RequestHead, body: Body) -> Response:
        if _VERSION_2 in head.query:
            raise InvalidRequestError("Signature V4 is needed (boto3: signature_version='s3v4').")
        if not carries_signature(head):
            if is_post_form(head):
                return await self._forms.post(head, body)
            raise AccessDeniedError
        signed = verify(head, self._secrets, time.time(), self._hosts)
        bucket, key = parse_path(head.path)
        asked = Asked(head, body, signed, bucket, key, dict(signed.parameters))
        return await self._calls[operation_of(asked)](asked)


class Others(Protocol):
    """An ``Answerer``, as those above this room see it."""

    def answer(self, head: RequestHead, body: Body) -> Awaitable[Response]:
        """Serve one request."""

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*."""


class S3Front:
    """An ``Answerer`` before *inner*, who has every request that is not for *service*."""

    def __init__(self, service: S3Service, inner: Others) -> None:
        self._service = service
        self._inner = inner

    def answer(self, head: RequestHead, body: Body) -> Awaitable[Response]:
        """Serve one request; see ``Answerer``."""
        if self._service.is_for(head):
            return self._service.answer(head, body)
        return self._inner.answer(head, body)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; see ``Answerer``."""
        return self._inner.failed(error, head)


def _refused(error: FileloftError, head: RequestHead, request_id: str) -> Response:
    """Return what an S3 client is told of *error*."""
    told = s3_error(error)
    own = [("Content-Type", CONTENT_TYPE)]
    if isinstance(error, RangeNotSatisfiableError):
        own.append(("Content-Range", f"bytes */{error.size}"))
    return Response(told.status, tuple(own), render_error(told, head.path, request_id))
