"""POST forms: what Serverpod's clients send, whose app server has signed a policy for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fileloft_fast.model import Response
from fileloft_fast.s3front.asked import check_key
from fileloft_fast.s3front.codes import InvalidArgumentError
from fileloft_fast.s3front.documents import CONTENT_TYPE, render_form_stored
from fileloft_fast.s3front.objects import check_metadata
from fileloft_fast.s3front.policy import FormUpload, verify_form
from fileloft_fast.s3front.target import parse_path
from fileloft_fast.storages.addresses import token_of
from fileloft_fast.storages.disposition import is_form
from fileloft_fast.storages.entry import Wish
from fileloft_fast.storages.form_file import FormFile

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage, Storages
    from fileloft_fast.storages.reception import Received

_FILE: Final = "file"


def is_post_form(head: RequestHead) -> bool:
    """Return whether *head* is a form to a bucket, and not one to the URL of a ticket."""
    return (
        head.method == "POST"
        and is_form(head.headers.get("content-type", ""))
        and not parse_path(head.path)[1]
        and not token_of(head)
    )


class Forms:
    """Answers forms to *storages* that are signed with one of *secrets*, by access key."""

    def __init__(self, storages: Storages, secrets: Mapping[str, str]) -> None:
        self._storages = storages
        self._secrets = secrets

    async def post(self, head: RequestHead, body: Body) -> Response:
        """Answer PostObject. Raises FileloftError; what its policy forbids is not received."""
        bucket, _ = parse_path(head.path)
        form = FormFile(body, head.headers["content-type"])
        start = await form.begin()
        if start.name != _FILE:
            raise InvalidArgumentError("The file of a form is called file.", ArgumentName="file")
        pairs = [(field.name, field.value) for field in form.fields]
        wanted = verify_form(pairs, bucket, self._secrets, time.time(), start.filename)
        storage = self._storages.named(bucket)  # not before: it tells which names there are

        async def check(received: Received) -> None:
            wanted.check_size(received.received)

        # A file begins with its own type; S3 goes by the field of that name alone, if there is one.
        wish = _wish(storage, wanted, wanted.content_type or start.content_type)
        return _stored(await storage.put(wish, body, None, form=form, check=check), bucket, wanted)


def _wish(storage: NamedStorage, wanted: FormUpload, content_type: str) -> Wish:
    return Wish(
        path=check_key(storage, wanted.key),
        # 0 would be no bound; that a file must be empty is seen when it has come.
        max_size=storage.largest(max(wanted.largest, 1)),
        content_type=content_type,
        metadata=check_metadata(wanted.metadata),
    )


def _stored(entry: Entry, bucket: str, wanted: FormUpload) -> Response:
    location = f"/{bucket}/{entry.path}"
    own = (("ETag", f'"{entry.etag}"'), ("Location", location))
    if wanted.status != 201:
        return Response(wanted.status, own)
    document = render_form_stored(location, bucket, entry.path, entry.etag)
    return Response(201, (*own, ("Content-Type", CONTENT_TYPE)), document)
