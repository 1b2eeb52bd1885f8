"""The answers: what ``uploads`` did, or why it was refused, as a Response."""

from collections.abc import Mapping
from inspect import cleandoc
from random import randint
from typing import Final

from msgspec.structs import replace

from fileloft_fast import errors
from fileloft_fast.errors import (
    BadRequestError,
    BodyCutError,
    BodyTimeoutError,
    ConfigError,
    ContentTypeError,
    ExpectationError,
    FileloftError,
    HeadTimeoutError,
    HeadTooLargeError,
    HttpVersionError,
    LockServiceError,
    MethodNotAllowedError,
    NotImplementedMethodError,
    NotStoredError,
    OverloadedError,
    QuotaError,
    RangeNotSatisfiableError,
    RefusedByHookError,
    RemoteUnavailableError,
    ShuttingDownError,
    StoreError,
    UnauthorizedError,
    UnsupportedCodingError,
    UriTooLongError,
    VersionError,
    WireError,
)
from fileloft_fast.errors.base import code_of
from fileloft_fast.model import (
    AnswerChange,
    ByteStream,
    Capability,
    FileSlice,
    RequestHead,
    Response,
    UploadInfo,
)
from fileloft_fast.tus.digests import digest_fields
from fileloft_fast.tus.download import Selection
from fileloft_fast.tus.headers import OFFSET_STREAM, render_date
from fileloft_fast.tus.location import render_location
from fileloft_fast.tus.plan import expiry
from fileloft_fast.tus.rules import TUS_VERSION, CorsRules, TusRules

Fields = tuple[tuple[str, str], ...]

ALLOW_METHODS: Final = "POST,HEAD,PATCH,OPTIONS,GET,DELETE"
ALLOW_HEADERS: Final = (
    "Authorization,Origin,X-Requested-With,X-Request-ID,X-HTTP-Method-Override,Content-Type,"
    "Content-Encoding,Content-Disposition,Upload-Length,Upload-Offset,Tus-Resumable,"
    "Upload-Metadata,Upload-Defer-Length,Upload-Concat,Upload-Checksum,Upload-Incomplete,"
    "Upload-Complete,Upload-Draft-Interop-Version,Content-Digest,Repr-Digest,Want-Repr-Digest,"
    "Range,If-Range,If-None-Match"
)
EXPOSE_HEADERS: Final = (
    "Upload-Offset,Location,Upload-Length,Tus-Version,Tus-Resumable,Tus-Max-Size,Tus-Extension,"
    "Tus-Checksum-Algorithm,Upload-Metadata,Upload-Defer-Length,Upload-Concat,Upload-Expires,"
    "Upload-Incomplete,Upload-Complete,Upload-Draft-Interop-Version,Upload-Limit,Repr-Digest,"
    "Content-Length,Content-Type,Content-Range,Content-Disposition,Accept-Patch,Accept-Ranges,"
    "ETag,Last-Modified,Retry-After"
)

EXTENSIONS: Final = (
    Capability.CREATION,
    Capability.CREATION_WITH_UPLOAD,
    Capability.CREATION_DEFER_LENGTH,
    Capability.EXPIRATION,
    Capability.CHECKSUM,
    Capability.CHECKSUM_TRAILER,
    Capability.TERMINATION,
    Capability.CONCATENATION,
)
"""Everything that ``Tus-Extension`` may name, in order; a download is no extension of tus."""

_NO_STORE: Final = (("Cache-Control", "no-store"),)
# A download may be kept, but its validator is asked for again: it may have been removed.
_REVALIDATE: Final = (("Cache-Control", "no-cache"),)
_BODILESS: Final = frozenset({204, 205, 304})  # what follows their fields is the next answer
_TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"),)

# RFC 9110 sections 12.5.3 and 15.5.16, RFC 5789 section 2.2: a 415 says what would be taken.
_SPECIFIC: Final[Mapping[type[Exception], Fields]] = {
    VersionError: (("Tus-Version", TUS_VERSION),),
    ContentTypeError: (("Accept-Patch", OFFSET_STREAM),),
    UnsupportedCodingError: (("Accept-Encoding", "zstd"),),
    UnauthorizedError: (("Www-Authenticate", 'Bearer realm="uploads"'),),
}

# After these, nobody knows where the next request begins, or the server wants no next one.
_CLOSING: Final = (
    BadRequestError,
    BodyCutError,
    BodyTimeoutError,
    ExpectationError,
    HeadTimeoutError,
    HeadTooLargeError,
    HttpVersionError,
    NotImplementedMethodError,
    OverloadedError,
    ShuttingDownError,
    UriTooLongError,
)


class Answers:
    """Makes every answer; what depends only on the rules is rendered once, here.

    ``head`` is the request that is answered, None where no head could be read. *protocol* is in
    every answer. *methods* are those that pages of other origins may use.
    """

    def __init__(
        self,
        rules: TusRules,
        *,
        protocol: Fields = (("Tus-Resumable", TUS_VERSION),),
        methods: str = ALLOW_METHODS,
    ) -> None:
        self._rules = rules
        base: Fields = (*protocol, ("X-Content-Type-Options", "nosniff"))
        self._cors = _Cors(rules.cors, methods)
        self._by_origin = {
            origin: (*base, *fields) for origin, fields in self._cors.actual().items()
        }
        self._base = self._by_origin.pop("")
        self._plain = (*self._base, *_NO_STORE)
        self._capabilities = _capabilities(rules)

    def options(self, head: RequestHead | None) -> Response:
        """Answer OPTIONS, a CORS preflight or not."""
        preflight = self._cors.preflight
        return Response(204, (*self._capabilities, *preflight), common=self.fields(head))

    def created(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer a POST that made *info*, with its body's bytes counted in ``info.offset``."""
        location = ("Location", render_location(head, info.id, self._rules))
        progress = self._progress(info)
        if info.length is None:
            return Response(201, (location, *progress), common=self.fields(head))
        length = ("Upload-Length", str(info.length))
        return Response(201, (location, length, *progress), common=self.fields(head))

    def appended(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer a PATCH after which the upload is *info*."""
        return Response(204, self._progress(info), common=self.fields(head))

    def completed(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer a PATCH by which the upload became complete; ``appended`` is for those after."""
        return self.appended(head, info)

    def inspected(self, head: RequestHead, info: UploadInfo) -> Response:
        """Answer HEAD. 200, the only status that every client takes (T050); never a body."""
        # Who counts bytes alone would take one for finished that still waits for its end.
        if info.length is None or (info.awaits_end and info.offset == info.length):
            length = ("Upload-Defer-Length", "1")
        else:
            length = ("Upload-Length", str(info.length))
        fields = (*self._progress(info), length)
        if info.metadata.raw:
            fields = (*fields, ("Upload-Metadata", info.metadata.raw))
        if info.concat_raw:
            fields = (*fields, ("Upload-Concat", info.concat_raw))
        if info.digests:
            fields += digest_fields(info)
        return Response(200, fields, common=self.fields(head))

    def terminated(self, head: RequestHead) -> Response:
        """Answer a DELETE that was done."""
        return Response(204, common=self.fields(head))

    def downloaded(
        self,
        head: RequestHead,
        selection: Selection,
        body: FileSlice | ByteStream | bytes = b"",
    ) -> Response:
        """Answer GET with what ``download.select`` chose; *body* is exactly those bytes."""
        fields = self.fields(head, _REVALIDATE)
        return Response(selection.status, selection.headers, body, common=fields)

    def redirected(self, head: RequestHead, url: str) -> Response:
        """Answer GET with where the bytes are; the URL does not last, so no cache may keep it."""
        return Response(302, (("Location", url),), common=self.fields(head))

    def changed(self, response: Response, change: AnswerChange) -> Response:
        """Return *response* as a hook wants it: its fields replace ours of the same name."""
        if change == AnswerChange():
            return response
        names = {name.lower() for name, _ in change.fields}
        status = change.status or response.status
        return replace(
            response,
            status=status,
            body=b"" if status in _BODILESS else change.body or response.body,
            own=(*_without(response.own, names), *change.fields),
            common=_without(response.common, names),
        )

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Answer with what went wrong; of an error that is not the client's, only that it was."""
        status = error.status if isinstance(error, FileloftError) else FileloftError.status
        fields = (*_TEXT, *_specific(error))
        text = f"ERR_{code_of(error).upper()}: {message_of(error)}\n"
        body = text.encode("ascii", "backslashreplace")
        close = isinstance(error, _CLOSING)
        response = Response(status, fields, body, close, self.fields(head))
        if isinstance(error, RefusedByHookError):
            change = AnswerChange(error.answer_status, error.answer_body, error.answer_fields)
            return self.changed(response, change)
        return response

    def fields(self, head: RequestHead | None, caching: Fields = _NO_STORE) -> Fields:
        """Return what every answer carries: the version, and what browsers ask for."""
        if self._by_origin and head is not None:
            origin = head.headers.get("origin", "")
            return (*self._by_origin.get(origin, self._base), *caching)
        return self._plain if caching is _NO_STORE else (*self._base, *caching)

    def _progress(self, info: UploadInfo) -> Fields:
        offset = ("Upload-Offset", str(info.offset))
        expires_at = expiry(info, finished_too=self._rules.expire_finished)
        if expires_at is None:
            return (offset,)
        return (offset, ("Upload-Expires", render_date(int(expires_at))))


class _Cors:
    """The fields for browsers, by the origin that asks; "" is every origin not in the list."""

    def __init__(self, rules: CorsRules, methods: str) -> None:
        self._rules = rules
        self.preflight: Fields = ()
        if rules.enabled:
            self.preflight = (
                ("Access-Control-Allow-Methods", methods),
                ("Access-Control-Allow-Headers", _extended(ALLOW_HEADERS, rules.allow_headers)),
                ("Access-Control-Max-Age", str(rules.max_age_s)),
            )

    def actual(self) -> Mapping[str, Fields]:
        """Return the fields of an answer for each origin that is let in by name, and for ""."""
        rules = self._rules
        if not rules.enabled:
            return {"": ()}
        expose = ("Access-Control-Expose-Headers", _extended(EXPOSE_HEADERS, rules.expose_headers))
        if "*" in rules.allow_origins:
            return {"": (("Access-Control-Allow-Origin", "*"), expose)}
        # Without Vary, a cache could hand one origin's answer to another.
        vary = ("Vary", "Origin")
        allowed: dict[str, Fields] = {"": (vary,)}
        credentials = (("Access-Control-Allow-Credentials", "true"),) if rules.credentials else ()
        for origin in rules.allow_origins:
            allow = ("Access-Control-Allow-Origin", origin)
            allowed[origin] = (allow, *credentials, expose, vary)
        return allowed


def _extended(names: str, added: str) -> str:
    """Return the list *names* with what the operator added that is not in it; no spaces (T022)."""
    known = {name.lower() for name in names.split(",")}
    extra = [name.strip() for name in added.split(",")]
    return ",".join((names, *(name for name in extra if name and name.lower() not in known)))


def _capabilities(rules: TusRules) -> Fields:
    """Return what OPTIONS tells of this server; a field without a value is absent (T023, T025)."""
    fields = [("Tus-Version", TUS_VERSION)]
    extensions = ",".join(name.value for name in EXTENSIONS if name in rules.capabilities)
    if extensions:
        fields.append(("Tus-Extension", extensions))
    if rules.max_size:
        fields.append(("Tus-Max-Size", str(rules.max_size)))
    if Capability.CHECKSUM in rules.capabilities:
        fields.append(("Tus-Checksum-Algorithm", ",".join(rules.algorithms)))
    return tuple(fields)


def _without(fields: Fields, names: set[str]) -> Fields:
    if not any(name.lower() in names for name, _ in fields):
        return fields  # which many answers share
    return tuple(field for field in fields if field[0].lower() not in names)


def _specific(error: Exception) -> Fields:
    """Return the fields that an answer with *error* must or should carry."""
    match error:
        case MethodNotAllowedError():
            return (("Allow", error.allow),)
        case RangeNotSatisfiableError():
            return (("Content-Range", f"bytes */{error.size}"),)
        case QuotaError():
            return (("Retry-After", str(error.retry_after_s)),)
        case NotStoredError() | RemoteUnavailableError() | LockServiceError():
            # Many wait for the same thing: let them not come back all at once.
            return (("Retry-After", str(randint(1, 5))),)  # noqa: S311 - no secret
        case FileloftError(status=503):
            return (("Retry-After", "1"),)
        case _:
            return _SPECIFIC.get(type(error), ())


def message_of(error: Exception) -> str:
    """Return what the client may read: no paths or names of this machine, on one line."""
    if isinstance(error, WireError) and str(error):
        return "".join(char if char.isprintable() else "?" for char in str(error))
    return code_of(error).replace("_", " ")


def error_table() -> list[tuple[int, str, str, str, str]]:
    """Return status, code, class, who is to blame, and meaning of every error, in file order."""
    rows = []
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, FileloftError):
            meaning = " ".join(cleandoc(error.__doc__ or "").split())
            rows.append(
                (error.status, f"ERR_{error.code.upper()}", error.__name__, _blame(error), meaning)
            )
    return rows


def _blame(error: type[FileloftError]) -> str:
    for base, blamed in ((WireError, "client"), (ConfigError, "operator"), (StoreError, "storage")):
        if issubclass(error, base):
            return blamed
    return "server"
