"""CORS: what a browser may send and read (T029), and whom it is told to trust."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint
    from tests.wire import Answer

SENT = {
    "Authorization",
    "Origin",
    "X-Requested-With",
    "X-Request-ID",
    "X-HTTP-Method-Override",
    "Content-Type",
    "Upload-Length",
    "Upload-Offset",
    "Tus-Resumable",
    "Upload-Metadata",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Incomplete",
    "Upload-Complete",
    "Upload-Draft-Interop-Version",
    "Upload-Checksum",
    "Content-Digest",
    "Repr-Digest",
    "Want-Repr-Digest",
    "Content-Disposition",
}
READ = {
    "Upload-Offset",
    "Location",
    "Upload-Length",
    "Tus-Version",
    "Tus-Resumable",
    "Tus-Max-Size",
    "Tus-Extension",
    "Upload-Metadata",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Incomplete",
    "Upload-Complete",
    "Upload-Draft-Interop-Version",
    "Upload-Expires",
    "Upload-Limit",
    "Tus-Checksum-Algorithm",
    "Repr-Digest",
}
PAGE = "https://page.example"


def listed(answer: Answer, name: str) -> set[str]:
    return {item.strip().lower() for item in answer[name].split(",")}


def lower(names: set[str]) -> set[str]:
    return {name.lower() for name in names}


def preflight(endpoint: Endpoint, target: str, origin: str = PAGE) -> Answer:
    return endpoint.ask(
        "OPTIONS",
        target,
        {
            "Tus-Resumable": None,
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "tus-resumable,upload-offset,content-type",
        },
    )


@pytest.mark.parametrize("target", ["/files/", "/files", "/files/0123456789abcdef"])
def test_a_preflight_allows_every_header_of_every_client(tus: Endpoint, target: str) -> None:
    """T029."""
    answer = preflight(tus, target)
    assert answer.status in {200, 204}
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer
    methods = listed(answer, "Access-Control-Allow-Methods")
    assert {"post", "head", "patch", "options", "delete"} <= methods
    assert lower(SENT) <= listed(answer, "Access-Control-Allow-Headers")
    assert answer["Access-Control-Max-Age"] == "86400"


def test_a_download_may_be_preflighted(shop: Endpoint) -> None:
    """T029."""
    assert "get" in listed(preflight(shop, "/files/x"), "Access-Control-Allow-Methods")


def test_every_answer_exposes_its_headers(tus: Endpoint) -> None:
    """T029."""
    upload = tus.create(5)
    page = {"Origin": PAGE}
    for answer in (
        tus.post({"Upload-Length": "3", **page}),
        tus.head(upload, page),
        tus.append(upload, 0, b"hello", page),
        tus.append(upload, 9, b"hello", page),
        tus.append(upload, 0, b"hello", {**page, "Tus-Resumable": None}),
        tus.head("/files/unknown", page),
        tus.ask("DELETE", upload, page),
    ):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert lower(READ) <= listed(answer, "Access-Control-Expose-Headers")


def test_only_a_named_origin_is_told_back(fleet: Fleet) -> None:
    """T029: the answer depends on Origin, so caches must know it."""
    chosen = fleet.endpoint(
        CORS_ALLOW_ORIGIN=f"{PAGE},https://other.example",
        CORS_ALLOW_CREDENTIALS="1",
        CORS_ALLOW_HEADERS="X-Tenant",
        CORS_EXPOSE_HEADERS="X-Trace",
        CORS_MAX_AGE="60",
    )
    answer = preflight(chosen, "/files/")
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert answer["Access-Control-Max-Age"] == "60"
    assert "origin" in listed(answer, "Vary")
    assert lower(SENT | {"X-Tenant"}) <= listed(answer, "Access-Control-Allow-Headers")
    stranger = preflight(chosen, "/files/", "https://evil.example")
    assert stranger.get("Access-Control-Allow-Origin") is None
    assert "origin" in listed(stranger, "Vary")
    created = chosen.post({"Upload-Length": "1", "Origin": PAGE})
    assert lower(READ | {"X-Trace"}) <= listed(created, "Access-Control-Expose-Headers")


@pytest.mark.parametrize(
    "origin", ["null", "https://page.example.evil.example", "x\ty", PAGE + "/"]
)
def test_an_origin_is_compared_as_a_whole(fleet: Fleet, origin: str) -> None:
    """T029."""
    chosen = fleet.endpoint(CORS_ALLOW_ORIGIN=PAGE)
    assert preflight(chosen, "/files/", origin).get("Access-Control-Allow-Origin") is None


def test_cors_can_be_switched_off(fleet: Fleet) -> None:
    """T029."""
    silent = fleet.endpoint(DISABLE_CORS="1")
    for answer in (preflight(silent, "/files/"), silent.post({"Upload-Length": "1"})):
        assert not [name for name, _ in answer.fields if name.startswith("Access-Control-")]


def test_any_origin_together_with_credentials_does_not_start() -> None:
    """T029: browsers refuse the pair, and it would trust everyone."""
    ended = subprocess.run(
        [sys.executable, "-m", "fileloft_fast", "serve"],
        env={"PATH": "/usr/bin:/bin", "FILELOFT_CORS_ALLOW_CREDENTIALS": "1"},
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode != 0
    assert b"FILELOFT_CORS_ALLOW" in ended.stderr
    assert b"Traceback" not in ended.stderr
