"""Hostile HTTP: request targets that try to leave the uploads (H53, H61)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoint import Endpoint

HOSTILE = [
    *("/files/%2e%2e%2fsecret", "/files/..%2fsecret", "/files/../secret", "/files/..", "/files/."),
    *("/files/%2e%2e/secret", "/files/x%00", "/files/%00", "/files/x%0d%0aX-Injected:%201"),
    *("/files/%c0%ae%c0%ae%c0%afsecret", "/files/%ff", "/files/..%5csecret", "/files/..\\secret"),
    *("/files\\x", "\\files\\x", "/files/\\", "/./files/x", "/files/./x", "//files/x"),
    *("/x/../files/secret", "/files//x", "/files/x/", "/files/-x", "/files/x.info", "/files/.x"),
    *("/files/" + "a" * 129, "/files/%61%62%63", "/files/a%20b", "/files/~", "/files/secret"),
]


@pytest.fixture
def secret(tus: Endpoint) -> Path:
    """Return a file beside the data directory that no request may reach."""
    path = tus.server.data.parent / "secret"
    path.write_bytes(b"secret")
    path.with_name("secret.info").write_bytes(tus.info_file(tus.create(9)).read_bytes())
    return path


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "GET"])
@pytest.mark.parametrize("target", HOSTILE)
def test_an_id_that_is_none_is_not_found(
    tus: Endpoint, secret: Path, target: str, method: str
) -> None:
    """H53 and H61: nothing is decoded and nothing normalised, so nothing can escape."""
    before = tus.files(), set(tus.server.data.parent.iterdir())
    fields = {"Upload-Offset": "6", "Content-Type": OCTETS} if method == "PATCH" else {}
    body = b"!" if method == "PATCH" else b""
    answer = tus.ask(method, target, fields, body)
    assert answer.status in ({400, 404, 405} if method == "GET" else {400, 404})
    assert "X-Injected" not in answer
    assert b"secret" not in answer.body.replace(target.encode(), b"")
    assert secret.read_bytes() == b"secret"
    assert (tus.files(), set(tus.server.data.parent.iterdir())) == before


def test_a_hostile_target_leaves_the_connection_in_order(tus: Endpoint) -> None:
    """H53."""
    upload = tus.create_holding(b"abc", 5)
    with tus.connect() as wire:
        for target in ("/files/%00", "/files/..%2fx", "/files/" + "a" * 4000):
            assert wire.ask(render_request("HEAD", target)).status == 404
            assert wire.ask(render_request("HEAD", upload))["Upload-Offset"] == "3"


def test_a_query_does_not_change_what_is_named(tus: Endpoint) -> None:
    """H61."""
    upload = tus.create_holding(b"abc", 5)
    for query in ("?", "?x=1", "?/../y", "?%00"):
        assert tus.head(upload + query)["Upload-Offset"] == "3"
