"""Attempts to do what one may not: with no token, a wrong one, or somebody else's.

Each leaves every byte on the disk as it was, and says of an upload that is another's exactly what
it says of one that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests import tokens
from tests.conformance.bad_tokens import BAD, in_field, in_query
from tests.endpoint import Endpoint
from tests.tokens import bearer, grant, user
from tests.wire import OCTETS, Answer, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet

PATCH: Final = {"Upload-Offset": "5", "Content-Type": OCTETS}
CHUNKED: Final = {**PATCH, "Transfer-Encoding": "chunked"}
BODY: Final = b"3\r\nabc\r\n0\r\n\r\n"
NEW: Final = {"Upload-Length": "10"}
UNKNOWN: Final = "0123456789abcdef0123456789abcdef"
Place = Callable[[str], tuple[str, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request: @OPEN@, @DONE@ and @PART@ in it are the ids of alice's uploads, by kind."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def render(self, ids: dict[str, str], query: str, fields: dict[str, str]) -> bytes:
        """Return the request with *ids* for the kinds, and with its token."""
        target, headers = self.target, self.headers
        for kind, upload in ids.items():
            target = target.replace(f"@{kind}@", upload)
            headers = {name: text.replace(f"@{kind}@", upload) for name, text in headers.items()}
        return render_request(self.method, target + query, {**headers, **fields}, self.body)


class Scene:
    """alice's uploads, and a look at all that is on the disk."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.alice = bearer(user("alice"))
        part = {**self.alice, "Upload-Concat": "partial"}
        paths = {
            "OPEN": endpoint.create(10, self.alice, b"hello"),
            "DONE": endpoint.finish(b"secret", self.alice),
            "PART": endpoint.finish(b"part", part),
        }
        self.ids = {kind: path.rpartition("/")[2] for kind, path in paths.items()}
        self.unknown = dict.fromkeys(self.ids, UNKNOWN)
        self.before = self.disk()

    def disk(self) -> dict[str, bytes]:
        """Return all files of uploads with their contents."""
        files = [path for path in self.endpoint.server.data.iterdir() if path.is_file()]
        return {f.name: f.read_bytes() for f in files if not f.name.startswith("access.db")}

    def refused(
        self, attempt: Attempt, query: str = "", fields: dict[str, str] | None = None
    ) -> Answer:
        """Make *attempt* on alice's uploads, then on unknown ones: same answers, same disk."""
        sent = fields or {}
        answer = self.endpoint.exchange(attempt.render(self.ids, query, sent))
        twin = self.endpoint.exchange(attempt.render(self.unknown, query, sent))
        assert told(answer) == told(twin)
        assert answer.status >= 400
        assert answer.interim == ()
        assert "Upload-Offset" not in answer
        assert "Location" not in answer
        assert self.disk() == self.before
        return answer


def told(answer: Answer) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """Return all of an answer but when it was made."""
    fields = [pair for pair in answer.fields if pair[0] != "Date"]
    return answer.status, answer.reason, fields, answer.body


@pytest.fixture(scope="module")
def scene(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    keys = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys.write_bytes(tokens.jwks("rsa-1", "ec-1", "ed-1"))
    with fleet.start(
        AUTH="jwt,grant",
        JWT_JWKS=str(keys),
        JWT_AUDIENCE=tokens.AUDIENCE,
        JWT_ISSUER=tokens.ISSUER,
        GRANT_SECRET=f"{tokens.GRANT_SECRET},{tokens.FORMER_SECRET}",
        ENABLE_CONCATENATION="1",
        ENABLE_DOWNLOAD="1",
        LOG="trace",
    ) as server:
        yield Scene(Endpoint(server))
    said = "\n".join(server.log)
    assert "eyJ" not in said, "a token, or a part of one, is in the log"


EVERY: Final = {
    "create": Attempt("POST", "/files/", NEW),
    "create-with-bytes": Attempt("POST", "/files/", {**NEW, "Content-Type": OCTETS}, b"abc"),
    "concatenate": Attempt("POST", "/files/", {"Upload-Concat": "final;/files/@PART@"}),
    "inspect": Attempt("HEAD", "/files/@OPEN@"),
    "append": Attempt("PATCH", "/files/@OPEN@", PATCH, b"abc"),
    "append-expecting": Attempt(
        "PATCH", "/files/@OPEN@", {**PATCH, "Expect": "100-continue"}, b"a"
    ),
    "read": Attempt("GET", "/files/@DONE@"),
    "delete": Attempt("DELETE", "/files/@OPEN@"),
    "overridden": Attempt("POST", "/files/@OPEN@", {"X-HTTP-Method-Override": "DELETE"}),
    "options-by-post": Attempt("POST", "/files/@OPEN@", {"X-HTTP-Method-Override": "OPTIONS"}),
    "elsewhere": Attempt("GET", "/files/../etc/passwd"),
    "absolute": Attempt("DELETE", "http://upload.example/files/@OPEN@"),
}
"""What is tried with each token that is none."""


@pytest.mark.parametrize("case", sorted(BAD))
def test_without_a_valid_token_nothing_is_done_or_told(scene: Scene, case: str) -> None:
    for attempt in EVERY.values():
        answer = scene.refused(attempt, *BAD[case]())
        assert answer.status == 401, (attempt, answer)
        assert answer["WWW-Authenticate"].startswith("Bearer ")
        assert answer["Access-Control-Allow-Origin"] == "*"
        if attempt.method != "HEAD":
            assert answer.body == b"ERR_UNAUTHORIZED: a valid token is needed\n"


def concat(*urls: str) -> Attempt:
    return Attempt("POST", "/files/", {"Upload-Concat": f"final;{' '.join(urls)}"})


def override(method: str, **headers: str) -> Attempt:
    return Attempt("POST", "/files/@OPEN@", {"X-HTTP-Method-Override": method, **headers})


OTHERS: Final[dict[str, tuple[Attempt, int]]] = {
    **{
        name: (EVERY[name], 404)
        for name in ("inspect", "append", "append-expecting", "read", "delete", "absolute")
    },
    "concatenate": (EVERY["concatenate"], 400),
    "concatenate-twice": (concat("/files/@PART@", "/files/@PART@"), 400),
    "concatenate-by-url": (concat("http://upload.example/files/@PART@"), 400),
    "concatenate-unfinished": (concat("/files/@OPEN@"), 400),
    "read-unfinished": (Attempt("GET", "/files/@OPEN@"), 404),
    "read-a-range": (Attempt("GET", "/files/@DONE@", {"Range": "bytes=0-0"}), 404),
    "inspect-by-another-version": (Attempt("HEAD", "/files/@OPEN@", {"Tus-Resumable": "0.9"}), 412),
    "append-nothing": (Attempt("PATCH", "/files/@OPEN@", PATCH), 404),
    "append-at-a-wrong-offset": (
        Attempt("PATCH", "/files/@OPEN@", {**PATCH, "Upload-Offset": "9"}, b"a"),
        404,
    ),
    "append-to-a-finished-one": (
        Attempt("PATCH", "/files/@DONE@", {**PATCH, "Upload-Offset": "6"}, b"a"),
        404,
    ),
    "append-too-much": (Attempt("PATCH", "/files/@OPEN@", PATCH, b"a" * 99), 404),
    "append-chunked": (Attempt("PATCH", "/files/@OPEN@", CHUNKED, BODY), 404),
    "declare-a-length": (Attempt("PATCH", "/files/@OPEN@", {**PATCH, "Upload-Length": "7"}), 404),
    "delete-a-finished-one": (Attempt("DELETE", "/files/@DONE@"), 404),
    "override-head": (override("HEAD"), 404),
    "override-patch": (override("PATCH", **PATCH), 404),
    "override-delete": (override("DELETE"), 404),
    "override-on-get": (
        Attempt("GET", "/files/@DONE@", {"X-HTTP-Method-Override": "OPTIONS"}),
        404,
    ),
    "post-to-an-upload": (Attempt("POST", "/files/@OPEN@", NEW), 405),
    "doubled-slash": (Attempt("GET", "//files/@DONE@"), 404),
    "inner-doubled-slash": (Attempt("GET", "/files//@DONE@"), 404),
    "last-slash": (Attempt("GET", "/files/@DONE@/"), 404),
    "dots": (Attempt("GET", "/files/../files/@DONE@"), 404),
    "encoded-dots": (Attempt("GET", "/files/%2e%2e/files/@DONE@"), 404),
    "dot": (Attempt("DELETE", "/files/./@OPEN@"), 404),
    "encoded-slash": (Attempt("GET", "/files%2f@DONE@"), 404),
    "the-info-file": (Attempt("GET", "/files/@DONE@.info"), 404),
    "the-accounts": (Attempt("GET", "/files/access.db"), 404),
    "null": (Attempt("GET", "/files/@DONE@%00"), 404),
    "another-host": (Attempt("DELETE", "/files/@OPEN@", {"Host": "other.example"}), 404),
    "absolute-form-of-another-host": (Attempt("DELETE", "http://other.example/files/@OPEN@"), 404),
    "a-proxy's-word": (
        Attempt("GET", "/files/@DONE@", {"X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/"}),
        404,
    ),
}
"""What is tried with another subject's valid token on alice's uploads, and what comes of it."""

STRANGERS: Final[dict[str, Callable[[], dict[str, str]]]] = {
    "bob": lambda: bearer(user("bob")),
    "alice-in-other-case": lambda: bearer(user("Alice")),
    "alice-with-a-space": lambda: bearer(user("alice ")),
    "by-another-claim": lambda: bearer(user("bob", email="alice", owner="alice")),
    "everything-but-admin": lambda: bearer(
        user("bob", fileloft={"ops": ["create", "append", "inspect", "read", "delete"]})
    ),
    "a-grant-of-nobody": lambda: bearer(
        grant(operations=("create", "append", "inspect", "read", "delete"))
    ),
    "a-grant-for-another-upload": lambda: bearer(
        grant(
            operations=("create", "append", "inspect", "read", "delete"),
            upload="f" * 32,
        )
    ),
    "a-grant-of-alice-with-a-prefix": lambda: bearer(
        grant(
            subject="alice",
            operations=("create", "append", "inspect", "read", "delete"),
            prefix="0",
        )
    ),
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_another_subject_is_told_what_is_told_of_no_upload(scene: Scene, name: str) -> None:
    attempt, status = OTHERS[name]
    assert scene.refused(attempt, "", STRANGERS["bob"]()).status == status


@pytest.mark.parametrize("who", sorted(STRANGERS))
def test_whoever_it_is_sees_nothing_of_another_subject(scene: Scene, who: str) -> None:
    for name in ("inspect", "append", "read", "delete", "override-patch"):
        answer = scene.refused(OTHERS[name][0], "", STRANGERS[who]())
        assert answer.status == 404, (name, answer)


MAY_NOT: Final[dict[str, tuple[tuple[str, ...], list[str]]]] = {
    "create-alone": (("create",), ["inspect", "append", "read", "delete", "create-with-bytes"]),
    "append-alone": (("append",), ["create", "concatenate", "inspect", "read", "delete"]),
    "inspect-alone": (("inspect",), ["create", "append", "read", "delete", "overridden"]),
    "read-alone": (("read",), ["create", "append", "inspect", "delete", "concatenate"]),
    "delete-alone": (("delete",), ["create", "append", "inspect", "read", "concatenate"]),
    "admin-alone": (("admin",), ["create", "append", "inspect", "read", "delete"]),
    "nothing": ((), ["create", "append", "inspect", "read", "delete", "concatenate"]),
}


@pytest.mark.parametrize("case", sorted(MAY_NOT))
def test_what_a_token_does_not_allow_is_forbidden_whatever_there_is(
    scene: Scene, case: str
) -> None:
    """Also of alice's own uploads: the token says less than she may."""
    allowed, tried = MAY_NOT[case]
    fields = bearer(grant(subject="alice", operations=allowed))
    by_user = bearer(user("alice", fileloft={"ops": list(allowed)}))
    for name in tried:
        assert scene.refused(EVERY[name], "", fields).status == 403, name
        assert scene.refused(EVERY[name], "", by_user).status == 403, name


CREATIONS: Final[dict[str, tuple[dict[str, Any], dict[str, str], bytes, int]]] = {
    "larger": ({"max_size": 9}, NEW, b"", 413),
    "larger-by-its-bytes": (
        {"max_size": 9},
        {"Upload-Defer-Length": "1", "Content-Type": OCTETS},
        b"x" * 10,
        413,
    ),
    "larger-by-chunks": (
        {"max_size": 9},
        {"Upload-Defer-Length": "1", "Content-Type": OCTETS, "Transfer-Encoding": "chunked"},
        b"a\r\n" + b"x" * 10 + b"\r\n0\r\n\r\n",
        413,
    ),
    "larger-by-concatenation": (
        {"max_size": 7, "subject": "alice"},
        {"Upload-Concat": "final;/files/@PART@ /files/@PART@"},
        b"",
        413,
    ),
    "without-its-metadata": ({"metadata": {"project": "p1"}}, NEW, b"", 403),
    "with-other-metadata": (
        {"metadata": {"project": "p1"}},
        {**NEW, "Upload-Metadata": "project cDI="},
        b"",
        403,
    ),
    "with-its-metadata-in-other-case": (
        {"metadata": {"project": "p1"}},
        {**NEW, "Upload-Metadata": "Project cDE="},
        b"",
        403,
    ),
    "with-its-metadata-and-more": (
        {"metadata": {"project": "p1"}},
        {**NEW, "Upload-Metadata": "project cDE=,project cDI="},
        b"",
        400,
    ),
    "with-a-part-of-its-metadata": (
        {"metadata": {"project": "p1", "kind": "k"}},
        {**NEW, "Upload-Metadata": "project cDE="},
        b"",
        403,
    ),
    "with-a-token-for-one-upload": ({"upload": "f" * 32}, NEW, b"", 403),
}


@pytest.mark.parametrize("place", [in_field, in_query], ids=["field", "query"])
@pytest.mark.parametrize("case", sorted(CREATIONS))
def test_a_grant_makes_no_other_upload_than_it_says(scene: Scene, case: str, place: Place) -> None:
    limits, headers, body, status = CREATIONS[case]
    attempt = Attempt("POST", "/files/", headers, body)
    token = grant(**limits)
    ids = scene.ids if case == "larger-by-concatenation" else scene.unknown
    query, fields = place(token)
    answer = scene.endpoint.exchange(attempt.render(ids, query, fields))
    assert answer.status == status, answer
    assert scene.disk() == scene.before


def test_alice_herself_still_has_it_all(scene: Scene) -> None:
    """After all that was tried; and so the attempts above failed for their tokens alone."""
    assert scene.disk() == scene.before
    upload = f"/files/{scene.ids['OPEN']}"
    assert scene.endpoint.head(upload, scene.alice)["Upload-Offset"] == "5"
    assert scene.endpoint.ask("GET", f"/files/{scene.ids['DONE']}", scene.alice).body == b"secret"
    former = bearer(grant(tokens.FORMER_SECRET, subject="alice"))
    assert scene.endpoint.head(upload, former)["Upload-Offset"] == "5"
    assert len(BAD) + len(OTHERS) + len(STRANGERS) + len(MAY_NOT) + len(CREATIONS) >= 40
