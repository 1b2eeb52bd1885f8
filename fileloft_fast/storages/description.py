"""An upload description: what an app gives its client, so that it can bring one file by itself.

The names are those that Serverpod's ``FileUploader`` reads. Of a ``binary`` one it sends the file
as the body; of a ``multipart`` one, a form with the file in it, always by POST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder, encode

if TYPE_CHECKING:
    from fileloft_fast.storages.ticket import Ticket

Kind: TypeAlias = Literal["binary", "multipart"]
Method: TypeAlias = Literal["PUT", "POST"]

# As Serverpod's createDirectFileUploadDescription has them.
DEFAULT_MAX_SIZE: Final = 10 * 1024 * 1024
DEFAULT_EXPIRES_IN_S: Final = 600
_FIELD: Final = "file"


class UploadDescription(
    Struct, frozen=True, kw_only=True, tag_field="type", rename="kebab", omit_defaults=True
):
    """How to bring one file, as a ``BinaryUpload`` or a ``MultipartUpload``.

    ``url`` is the permission: whoever has it may upload once, until it expires.
    """

    url: str

    def to_json(self) -> str:
        """Return what Serverpod's ``FileUploader`` is given."""
        return encode(self).decode()


class BinaryUpload(UploadDescription, frozen=True, kw_only=True, tag="binary"):
    """The file is the body of a request of *method* with *headers*."""

    method: Method
    file_name: str | None = None
    headers: dict[str, str] = {}


class MultipartUpload(UploadDescription, frozen=True, kw_only=True, tag="multipart"):
    """The file is the part *field* of a form, after the *request_fields*, sent by POST."""

    field: str
    file_name: str
    request_fields: dict[str, str]


_DECODER: Final[Decoder[BinaryUpload | MultipartUpload]] = Decoder(BinaryUpload | MultipartUpload)


def describe_upload(  # noqa: PLR0913 - what a description says, each by its name
    base_url: str,
    ticket: Ticket,
    token: str,
    *,
    kind: Kind = "binary",
    method: Method = "PUT",
    file_name: str | None = None,
) -> UploadDescription:
    """Return the description of the upload that *ticket*, signed as *token*, allows.

    *method* is about ``binary`` alone. *file_name* is what the client may call the file: it is
    stored nowhere.
    """
    url = f"{object_url(base_url, ticket.storage, ticket.path)}?ticket={token}"
    if kind == "multipart":
        name = file_name or ticket.path.rpartition("/")[2]
        return MultipartUpload(url=url, field=_FIELD, file_name=name, request_fields={})
    headers = {"Content-Type": ticket.content_type} if ticket.content_type else {}
    return BinaryUpload(url=url, method=method, file_name=file_name, headers=headers)


def parse_description(raw: bytes | str) -> UploadDescription:
    """Return what *raw* describes. Raises msgspec.MsgspecError where it is no description."""
    return _DECODER.decode(raw)


def object_url(base_url: str, storage: str, path: str) -> str:
    """Return where the object at *path* of *storage* is; nothing in a valid path needs quoting."""
    return f"{base_url.rstrip('/')}/{storage}/{path}"
