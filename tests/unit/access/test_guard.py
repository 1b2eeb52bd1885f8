"""The guard: whom a certificate lets in, and what is left of a token."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from fileloft_fast.access.guard import Access, limited
from fileloft_fast.access.rate import Rates
from fileloft_fast.access.tokens import Tokens, grant_issuer
from fileloft_fast.errors import UnauthorizedError
from fileloft_fast.model import Operation, Peer, Permit, Quota, RequestHead, Response
from tests.tokens import GRANT_SECRET, bearer, grant
from tests.unit.tus.heads import rules

QUOTA = Quota(bytes=7)
CERTIFIED = Peer("127.0.0.1:1", name="CN=scanner-3,O=Example")


def guard(*, tokens: bool, certificates: bool) -> Access:
    verifier = Tokens(None, grant_issuer([GRANT_SECRET]), QUOTA) if tokens else None
    nothing: Any = cast("Any", None)  # these requests count nothing
    return Access(verifier, nothing, Rates(), QUOTA, certificates=certificates)


def head(fields: dict[str, str] | None = None, query: str = "", peer: Peer = CERTIFIED) -> Any:
    headers = {name.lower(): value for name, value in (fields or {}).items()}
    return RequestHead("HEAD", "/files/x", headers, query=query, peer=peer)


def admit(access: Access, request: RequestHead) -> RequestHead:
    return asyncio.run(access.admit(request))


def test_a_certificate_says_whom_its_client_is() -> None:
    permit = admit(guard(tokens=False, certificates=True), head()).permit
    assert permit is not None
    assert permit.subject == "CN=scanner-3,O=Example"
    assert permit.operations == frozenset(Operation) - {Operation.ADMIN}
    assert permit.quota == QUOTA


@pytest.mark.parametrize("tokens", [False, True])
def test_a_certificate_counts_only_where_it_is_asked_for(*, tokens: bool) -> None:
    with pytest.raises(UnauthorizedError):
        admit(guard(tokens=tokens, certificates=False), head())
    with pytest.raises(UnauthorizedError):
        admit(guard(tokens=tokens, certificates=True), head(peer=Peer("127.0.0.1:1")))


def test_a_token_counts_before_a_certificate() -> None:
    access = guard(tokens=True, certificates=True)
    permit = admit(access, head(bearer(grant(subject="alice")))).permit
    assert permit is not None
    assert permit.subject == "alice"
    for wrong in (head({"Authorization": "Bearer x.y.z"}), head(query="token=x.y.z")):
        with pytest.raises(UnauthorizedError):
            admit(access, wrong)
    with pytest.raises(UnauthorizedError):
        admit(guard(tokens=False, certificates=True), head(bearer(grant())))


def test_nobody_sees_a_token_of_a_url_after_the_guard() -> None:
    access = guard(tokens=True, certificates=False)
    token = grant()
    concat = {"upload-concat": f"final;/files/a?token={token} /files/b?token={token}"}
    request = head(concat, f"a=b&token={token}&c")
    seen = admit(access, request)
    assert seen.query == "a=b&c"
    assert seen.headers["upload-concat"] == "final;/files/a /files/b"
    assert token not in repr(seen)
    created = Response(201, (("Location", "/files/x"),))
    no_referrer = ("Referrer-Policy", "no-referrer")
    location = ("Location", f"/files/x?token={token}")
    assert access.addressed(request, created).own == (location, no_referrer)
    elsewhere = Response(302, (("Location", "https://bucket.example/x"),))
    assert access.addressed(request, elsewhere).own == (*elsewhere.own, no_referrer)
    assert access.addressed(head(bearer(token), "a=b"), created) == created


def test_the_smaller_size_counts() -> None:
    def permit(size: int) -> Permit:
        return Permit(subject="a", operations=frozenset(), expires_at=0, max_size=size)

    assert limited(rules(max_size=0), permit(5)).max_size == 5
    assert limited(rules(max_size=9), permit(5)).max_size == 5
    assert limited(rules(max_size=3), permit(5)).max_size == 3
    assert limited(rules(max_size=3), permit(0)).max_size == 3
