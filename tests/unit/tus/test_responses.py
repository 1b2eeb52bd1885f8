"""The answers: status, fields and body of everything that can be said."""

from __future__ import annotations

from collections import Counter

import pytest

from fileloft_fast import errors
from fileloft_fast.errors import FileloftError, WireError
from fileloft_fast.model import Capability, Concat, Metadata, Response
from fileloft_fast.tus.responses import Answers, error_table
from fileloft_fast.tus.rules import DIGEST_SIZES, CorsRules
from tests.unit.tus.heads import UPLOAD, Fields, head, rules, upload

ANSWERS = Answers(rules())
LISTED = CorsRules(allow_origins=("https://a.example", "https://b.example"), credentials=True)

ERRORS = [
    errors.MethodNotAllowedError("GET"),
    errors.OffsetConflictError(expected=5, got=3),
    errors.RangeNotSatisfiableError(7),
    *(
        kind("what was wrong")
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, FileloftError)
        and kind.__init__ is FileloftError.__init__
    ),
]


def fields(response: Response) -> dict[str, str]:
    """Return the fields of an answer, each of which is there once."""
    assert max(Counter(name for name, _ in response.headers).values()) == 1
    return dict(response.headers)


def everything(answers: Answers, request: Fields) -> list[Response]:
    asked = head("POST", fields=request)
    return [
        answers.options(asked),
        answers.created(asked, upload()),
        answers.appended(asked, upload(5)),
        answers.inspected(asked, upload(5)),
        answers.terminated(asked),
        *(answers.failed(error, asked) for error in ERRORS),
        answers.failed(errors.BadRequestError("?"), None),
    ]


# -- what every answer carries --------------------------------------------------------------------


@pytest.mark.parametrize(
    "response", everything(ANSWERS, {}), ids=lambda response: str(response.status)
)
def test_t001_every_answer_names_the_version_once(response: Response) -> None:
    sent = fields(response)
    assert sent["Tus-Resumable"] == "1.0.0"
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert sent["Cache-Control"] == "no-store"
    assert sent["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in sent
    for name, value in response.headers:
        assert name.isascii()
        assert name.isprintable()
        assert value.isascii()
        assert value.isprintable()


@pytest.mark.parametrize(
    "response", everything(Answers(rules(cors=LISTED)), {"Origin": "https://b.example"})[:-1]
)
def test_a_listed_origin_is_let_in_by_name(response: Response) -> None:
    sent = fields(response)
    assert sent["Access-Control-Allow-Origin"] == "https://b.example"
    assert sent["Access-Control-Allow-Credentials"] == "true"
    assert "Upload-Offset" in sent["Access-Control-Expose-Headers"]
    assert sent["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "https://A.example"])
def test_another_origin_is_not_let_in(origin: str | None) -> None:
    for response in everything(Answers(rules(cors=LISTED)), {"Origin": origin}):
        sent = fields(response)
        assert "Access-Control-Allow-Origin" not in sent
        assert "Access-Control-Allow-Credentials" not in sent
        assert sent["Vary"] == "Origin"


def test_cors_may_be_off() -> None:
    for response in everything(Answers(rules(cors=CorsRules(enabled=False))), {"Origin": "x"}):
        assert not [name for name in fields(response) if name.startswith("Access-Control")]


def test_t022_no_list_but_allow_has_a_space() -> None:
    by = rules(cors=CorsRules(allow_headers="X-Mine, authorization", expose_headers="X-Ours"))
    for response in everything(Answers(by), {}):
        for name, value in fields(response).items():
            assert name == "Allow" or ", " not in value or name == "Upload-Expires"


# -- OPTIONS --------------------------------------------------------------------------------------


def test_t020_t022_options_says_what_the_server_can() -> None:
    response = ANSWERS.options(head("OPTIONS"))
    sent = fields(response)
    assert (response.status, response.body) == (204, b"")
    assert sent["Tus-Version"] == "1.0.0"
    assert sent["Tus-Extension"] == (
        "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,"
        "termination,concatenation"
    )


def test_t023_without_extensions_the_field_is_absent() -> None:
    sent = fields(Answers(rules(*Capability)).options(head("OPTIONS")))
    assert "Tus-Extension" not in sent
    assert "Tus-Checksum-Algorithm" not in sent


def test_t024_t025_the_max_size_is_told_where_there_is_one() -> None:
    assert fields(Answers(rules(max_size=7)).options(head("OPTIONS")))["Tus-Max-Size"] == "7"
    assert "Tus-Max-Size" not in fields(ANSWERS.options(head("OPTIONS")))


def test_t026_the_algorithms_are_told() -> None:
    told = fields(ANSWERS.options(head("OPTIONS")))["Tus-Checksum-Algorithm"]
    assert told.split(",") == list(DIGEST_SIZES)
    assert "sha1" in told.split(",")
    assert told == told.lower()


@pytest.mark.parametrize("off", list(Capability))
def test_t027_an_extension_that_is_off_is_not_listed(off: Capability) -> None:
    sent = fields(Answers(rules(off)).options(head("OPTIONS")))
    listed = sent["Tus-Extension"].split(",")
    assert off.value not in listed
    assert "download" not in listed
    assert "creation" in listed or "creation-with-upload" not in listed


TUSD_ALLOWS = (
    "Authorization, Origin, X-Requested-With, X-Request-ID, X-HTTP-Method-Override, Content-Type, "
    "Upload-Length, Upload-Offset, Tus-Resumable, Upload-Metadata, Upload-Defer-Length, "
    "Upload-Concat, Upload-Incomplete, Upload-Complete, Upload-Draft-Interop-Version, "
    "Upload-Checksum, Content-Digest, Repr-Digest, Want-Repr-Digest, Content-Disposition"
)
EXPOSED = (
    "Upload-Offset, Location, Upload-Length, Tus-Version, Tus-Resumable, Tus-Max-Size, "
    "Tus-Extension, Upload-Metadata, Upload-Defer-Length, Upload-Concat, Upload-Incomplete, "
    "Upload-Complete, Upload-Draft-Interop-Version, Upload-Expires, Upload-Limit, "
    "Tus-Checksum-Algorithm, Repr-Digest, Content-Length, Content-Type"
)


def test_t029_a_preflight_is_answered_with_the_superset() -> None:
    cors = CorsRules(allow_headers="X-Tenant, authorization,", max_age_s=60)
    sent = fields(Answers(rules(cors=cors)).options(head("OPTIONS")))
    methods = set(sent["Access-Control-Allow-Methods"].split(","))
    assert methods == {"POST", "HEAD", "PATCH", "OPTIONS", "GET", "DELETE"}
    allowed = sent["Access-Control-Allow-Headers"].split(",")
    assert {*TUSD_ALLOWS.split(", "), "X-Tenant"} <= set(allowed)
    assert len({name.lower() for name in allowed}) == len(allowed)
    assert "" not in allowed
    assert sent["Access-Control-Max-Age"] == "60"
    assert set(EXPOSED.split(", ")) <= set(sent["Access-Control-Expose-Headers"].split(","))


def test_the_operators_exposed_fields_are_added() -> None:
    by = rules(cors=CorsRules(expose_headers="X-Trace,location"))
    exposed = fields(Answers(by).terminated(head("DELETE", UPLOAD)))[
        "Access-Control-Expose-Headers"
    ].split(",")
    assert {"X-Trace", "Location", "Upload-Offset"} <= set(exposed)
    assert "location" not in exposed


# -- POST, PATCH, HEAD, DELETE --------------------------------------------------------------------


def test_t090_t120_a_creation_is_201_with_its_place_and_offset() -> None:
    response = ANSWERS.created(head("POST"), upload(5, 100))
    sent = fields(response)
    assert (response.status, response.body) == (201, b"")
    assert sent["Location"] == f"http://up.example{UPLOAD}"
    assert sent["Upload-Offset"] == "5"
    assert sent["Upload-Length"] == "100"
    assert "Upload-Expires" not in sent


def test_t125_a_creation_with_a_deferred_length_tells_the_offset() -> None:
    sent = fields(ANSWERS.created(head("POST"), upload(5, None)))
    assert sent["Upload-Offset"] == "5"
    assert "Upload-Length" not in sent


@pytest.mark.parametrize("say", [ANSWERS.created, ANSWERS.appended, ANSWERS.inspected])
def test_t130_t131_t132_an_unfinished_upload_says_when_it_expires(say: object) -> None:
    assert callable(say)
    info = upload(5, 10, expires_at=1403712000.9)
    assert fields(say(head("POST"), info))["Upload-Expires"] == "Wed, 25 Jun 2014 16:00:00 GMT"
    done = upload(10, 10, expires_at=1403712000.9)
    assert "Upload-Expires" not in fields(say(head("POST"), done))  # T134


def test_where_finished_uploads_expire_they_say_so() -> None:
    answers = Answers(rules(expire_finished=True))
    done = upload(10, 10, expires_at=1403712000.0)
    assert "Upload-Expires" in fields(answers.inspected(head("HEAD"), done))


def test_t060_an_append_is_204_with_the_offset() -> None:
    response = ANSWERS.appended(head("PATCH", UPLOAD), upload(5))
    assert (response.status, response.body) == (204, b"")
    assert fields(response)["Upload-Offset"] == "5"
    assert "Content-Length" not in fields(response)


@pytest.mark.parametrize(
    ("offset", "length"),
    [pytest.param(0, 10, id="T050"), pytest.param(5, 10, id="T051"), pytest.param(9, 9, id="T052")],
)
def test_head_is_200_with_offset_and_length(offset: int, length: int) -> None:
    response = ANSWERS.inspected(head("HEAD", UPLOAD), upload(offset, length))
    sent = fields(response)
    assert (response.status, response.body) == (200, b"")
    assert (sent["Upload-Offset"], sent["Upload-Length"]) == (str(offset), str(length))
    assert sent["Cache-Control"] == "no-store"
    assert "Upload-Defer-Length" not in sent
    assert "Upload-Metadata" not in sent  # T056
    assert "Upload-Concat" not in sent


def test_t053_head_of_a_deferred_length() -> None:
    sent = fields(ANSWERS.inspected(head("HEAD", UPLOAD), upload(5, None)))
    assert sent["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in sent


def test_t055_t171_head_echoes_what_was_received() -> None:
    info = upload(
        10,
        10,
        metadata=Metadata("b ,a YQ==", ()),
        concat=Concat.FINAL,
        concat_raw="final; /files/a  /files/b",
    )
    sent = fields(ANSWERS.inspected(head("HEAD", UPLOAD), info))
    assert sent["Upload-Metadata"] == "b ,a YQ=="
    assert sent["Upload-Concat"] == "final; /files/a  /files/b"


def test_t170_head_of_a_partial_has_an_offset() -> None:
    info = upload(5, 10, concat=Concat.PARTIAL, concat_raw="partial")
    sent = fields(ANSWERS.inspected(head("HEAD", UPLOAD), info))
    assert (sent["Upload-Concat"], sent["Upload-Offset"]) == ("partial", "5")


def test_t160_a_termination_is_204() -> None:
    response = ANSWERS.terminated(head("DELETE", UPLOAD))
    assert (response.status, response.body) == (204, b"")


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_refusal_says_its_code_and_never_an_offset(error: FileloftError) -> None:
    response = ANSWERS.failed(error, head("PATCH", UPLOAD))
    sent = fields(response)
    assert response.status == error.status
    assert isinstance(response.body, bytes)
    assert response.body.startswith(f"ERR_{error.code.upper()}: ".encode())
    assert response.body.endswith(b"\n")
    assert response.body.count(b"\n") == 1
    assert sent["Content-Type"] == "text/plain; charset=utf-8"
    # TUSKit takes an Upload-Offset for success whatever the status is (T054, T133).
    assert "Upload-Offset" not in sent
    assert "Location" not in sent


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        pytest.param(errors.VersionError("x"), "Tus-Version", "1.0.0", id="T002 412"),
        pytest.param(errors.MethodNotAllowedError("HEAD"), "Allow", "HEAD", id="405"),
        pytest.param(errors.ShuttingDownError("x"), "Retry-After", "1", id="T079 503"),
        pytest.param(errors.RangeNotSatisfiableError(7), "Content-Range", "bytes */7", id="416"),
        pytest.param(
            errors.ContentTypeError("x"),
            "Accept-Patch",
            "application/offset+octet-stream",
            id="T061 415",
        ),
        pytest.param(errors.UnsupportedCodingError("x"), "Accept-Encoding", "zstd", id="415"),
    ],
)
def test_a_refusal_carries_what_its_status_needs(error: WireError, name: str, value: str) -> None:
    assert fields(ANSWERS.failed(error, None))[name] == value


@pytest.mark.parametrize(
    "kind", [errors.NotStoredError, errors.RemoteUnavailableError, errors.LockServiceError]
)
def test_those_who_wait_for_a_service_do_not_come_back_all_at_once(
    kind: type[FileloftError],
) -> None:
    answers = [ANSWERS.failed(kind("x"), None) for _ in range(200)]
    assert {fields(answer)["Retry-After"] for answer in answers} == {"1", "2", "3", "4", "5"}
    assert {(answer.status, answer.close) for answer in answers} == {(503, False)}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.ChecksumMismatchError, 460),
        (errors.UploadLockedError, 423),
        (errors.ExtensionDisabledError, 404),
        (errors.InvalidMetadataError, 400),
        (errors.FinalUploadError, 403),
        (errors.UploadGoneError, 410),
        (errors.StorageFullError, 507),
        (errors.NotStoredError, 503),
        (errors.RemoteUnavailableError, 503),
        (errors.RemoteRefusedError, 500),
    ],
)
def test_statuses_that_clients_depend_on(kind: type[FileloftError], status: int) -> None:
    assert ANSWERS.failed(kind("x"), None).status == status


def test_a_redirect_is_not_to_be_kept() -> None:
    answer = ANSWERS.redirected(head("GET", UPLOAD), "https://b.example/k?signature=s")
    assert (answer.status, answer.body) == (302, b"")
    assert fields(answer)["Location"] == "https://b.example/k?signature=s"
    assert fields(answer)["Cache-Control"] == "no-store"


def test_only_errors_of_framing_and_of_the_server_close_the_connection() -> None:
    closing = {type(error).__name__ for error in ERRORS if ANSWERS.failed(error, None).close}
    assert closing == {
        "BadRequestError",
        "BodyCutError",
        "BodyTimeoutError",
        "ExpectationError",
        "HeadTimeoutError",
        "HeadTooLargeError",
        "HttpVersionError",
        "NotImplementedMethodError",
        "OverloadedError",
        "ShuttingDownError",
        "UriTooLongError",
    }


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (OSError(5, "/secret/path"), b"ERR_INTERNAL: internal\n"),
        (errors.StoreError("/secret/path"), b"ERR_STORE: store\n"),
        (errors.WireError("a\r\nb\x00\u2028\u202eé"), b"ERR_BAD_REQUEST: a??b???\\xe9\n"),
        (errors.UploadLockedError(), b"ERR_LOCKED: locked\n"),
    ],
)
def test_t103_a_message_is_one_line_and_tells_nothing_of_the_inside(
    error: Exception, body: bytes
) -> None:
    assert ANSWERS.failed(error, None).body == body


def test_the_table_has_every_error_with_its_meaning() -> None:
    rows = error_table()
    names = [name for _, _, name, _, _ in rows]
    assert set(names) == {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, FileloftError)
    }
    blamed = {name: blame for _, _, name, blame, _ in rows}
    assert blamed["ChecksumMismatchError"] == "client"
    assert blamed["StorageFullError"] == "storage"
    assert blamed["ShuttingDownError"] == "server"
    assert blamed["ConfigError"] == "operator"
    assert all(400 <= status < 600 and meaning for status, _, _, _, meaning in rows)
