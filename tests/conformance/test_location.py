"""Where a client finds its upload: Location in every setting (T091, H29 and H52)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest

from tests.endpoint import Endpoint
from tests.wire import render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet


def location(endpoint: Endpoint, headers: Mapping[str, str]) -> str:
    """Create an upload, prove that its path works, and return its Location."""
    answer = endpoint.post({"Upload-Length": "5", **headers})
    assert answer.status == 201
    return answer["Location"]


def origin_of(url: str) -> str:
    """Return what is before the path of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


@pytest.fixture(scope="module")
def proxied(fleet: Fleet) -> Endpoint:
    """Return a server that trusts the proxy in front of it."""
    return fleet.endpoint(BEHIND_PROXY="1")


@pytest.mark.parametrize(
    "host",
    [
        "upload.example",
        "upload.example:8080",
        "127.0.0.1:1",
        "[::1]",
        "[2001:db8::1]:8080",
        "a_b.c",
    ],
)
def test_location_has_the_host_of_the_request(tus: Endpoint, host: str) -> None:
    """T091 and H52: an IPv6 literal keeps its brackets."""
    url = location(tus, {"Host": host})
    assert origin_of(url) == f"http://{host}"
    assert tus.head(urlsplit(url).path, {"Host": host}).status == 200


@pytest.mark.parametrize("target", ["/files", "/files/"])
def test_location_resolves_against_the_request(tus: Endpoint, target: str) -> None:
    """T091: whichever form it has."""
    answer = tus.ask("POST", target, {"Upload-Length": "5"})
    url = urljoin(f"http://upload.example{target}", answer["Location"])
    assert tus.head(urlsplit(url).path)["Upload-Length"] == "5"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example;proto=https"},
        {"X-Forwarded-Prefix": "/evil"},
        {"X-Original-Host": "evil.example", "X-Forwarded-Server": "evil.example"},
    ],
)
def test_nobody_is_trusted_without_a_proxy(tus: Endpoint, headers: dict[str, str]) -> None:
    """H52."""
    url = location(tus, headers)
    assert origin_of(url) == "http://upload.example"
    assert urlsplit(url).path.startswith("/files/")


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}, "https://up.example"),
        ({"X-Forwarded-Proto": "https"}, "https://upload.example"),
        ({"X-Forwarded-Host": "up.example:8443"}, "http://up.example:8443"),
        (
            {"X-Forwarded-Host": "up.example:443", "X-Forwarded-Proto": "https"},
            "https://up.example",
        ),
        ({"X-Forwarded-Host": "first.example, second.example"}, "http://first.example"),
        ({"Forwarded": "for=1.2.3.4;proto=https;host=up.example"}, "https://up.example"),
        ({"Forwarded": 'Host="[2001:db8::1]:8443";Proto=https'}, "https://[2001:db8::1]:8443"),
        ({"Forwarded": "host=first.example, host=second.example"}, "http://first.example"),
        (
            {"Forwarded": "host=up.example;proto=https", "X-Forwarded-Host": "other.example"},
            "https://up.example",
        ),
        ({"X-Forwarded-Proto": "javascript"}, "http://upload.example"),
        ({"X-Forwarded-Host": "up.example/path"}, "http://upload.example"),
        ({"X-Forwarded-Host": "user@up.example"}, "http://upload.example"),
        ({"X-Forwarded-Host": "up.example\\x"}, "http://upload.example"),
        ({}, "http://upload.example"),
    ],
)
def test_a_trusted_proxy_says_where_the_client_is(
    proxied: Endpoint, headers: dict[str, str], origin: str
) -> None:
    """T091."""
    url = location(proxied, headers)
    assert origin_of(url) == origin
    assert proxied.head(urlsplit(url).path).status == 200


def test_a_trusted_proxy_may_have_cut_a_prefix_off(proxied: Endpoint) -> None:
    """T091."""
    url = location(proxied, {"X-Forwarded-Prefix": "/storage"})
    assert url.startswith("http://upload.example/storage/files/")
    assert proxied.head(urlsplit(url).path.removeprefix("/storage")).status == 200


@pytest.mark.parametrize("prefix", ["//evil.example", "/a/../b", "x", "/a b", "/%2e%2e"])
def test_a_prefix_that_is_no_path_is_passed_over(proxied: Endpoint, prefix: str) -> None:
    """T091."""
    url = location(proxied, {"X-Forwarded-Prefix": prefix})
    assert url.startswith("http://upload.example/files/")


@pytest.mark.parametrize("base", ["https://cdn.example/", "http://x:8080"])
def test_the_base_url_wins_over_everything(fleet: Fleet, base: str) -> None:
    """T091."""
    endpoint = fleet.endpoint(BASE_URL=base, BEHIND_PROXY="1")
    url = location(endpoint, {"X-Forwarded-Host": "up.example", "X-Forwarded-Proto": "https"})
    assert url.startswith(base.rstrip("/") + "/files/")
    assert endpoint.head(urlsplit(url).path)["Upload-Length"] == "5"


def test_the_base_path_is_in_location(fleet: Fleet) -> None:
    """T091."""
    endpoint = Endpoint(fleet.endpoint(BASE_PATH="/api/v1/uploads").server, "/api/v1/uploads/")
    path = urlsplit(location(endpoint, {})).path
    assert path.startswith("/api/v1/uploads/")
    endpoint.assert_holds(path, b"")


def test_an_absolute_target_is_served_and_its_host_believed_by_nobody(tus: Endpoint) -> None:
    """H29: RFC 9112 section 3.2.2; a proxy may route by either name, so neither is used."""
    before = tus.uploads()
    answer = tus.ask("POST", "http://evil.example/files/", {"Upload-Length": "5"})
    assert answer.status == 201
    assert not origin_of(answer["Location"])
    tus.assert_holds(tus.path_of(answer), b"")
    assert len(tus.uploads() - before) == 1
    upload = tus.path_of(answer)
    assert tus.ask("HEAD", f"http://evil.example{upload}").status == 200
    assert tus.ask("HEAD", f"HTTP://evil.example:80{upload}?x=1").status == 200


@pytest.mark.parametrize(
    "target", ["ftp://h/files/", "http:///files/", "http://u@h/files/", "http:files/", "files/"]
)
def test_a_target_of_another_form_is_400(tus: Endpoint, target: str) -> None:
    """H29."""
    before = tus.files()
    assert tus.ask("POST", target, {"Upload-Length": "5"}).status == 400
    assert tus.files() == before


def test_location_of_http_1_0_without_host_is_a_path(tus: Endpoint) -> None:
    """H28: nobody knows the host."""
    request = render_request("POST", tus.base, {"Upload-Length": "5", "Host": None})
    answer = tus.exchange(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.status == 201
    assert answer["Location"].startswith("/files/")
    tus.assert_holds(tus.path_of(answer), b"")
