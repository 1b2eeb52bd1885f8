"""URLs: the Location of an upload, and back from the URLs of Upload-Concat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import InvalidHeaderError
from fileloft_fast.model import UPLOAD_ID_PATTERN, UploadId
from fileloft_fast.tus.location import parse_upload_url, render_location
from tests.unit.tus.heads import COLLECTION, ID, UPLOAD, Fields, head, rules

PLAIN = rules()
PROXIED = rules(behind_proxy=True)


def location(authority: str = "up.example", *, secure: bool = False, path: str = COLLECTION) -> str:
    return render_location(head("POST", path, authority=authority, secure=secure), ID, PLAIN)


@pytest.mark.parametrize(
    ("scheme", "authority", "expected"),
    [
        ("http", "up.example", f"http://up.example{UPLOAD}"),
        ("http", "up.example:8080", f"http://up.example:8080{UPLOAD}"),
        ("https", "up.example", f"https://up.example{UPLOAD}"),
        ("http", "127.0.0.1:80", f"http://127.0.0.1:80{UPLOAD}"),
        ("http", "[::1]:8080", f"http://[::1]:8080{UPLOAD}"),
        ("https", "[2001:db8::1]", f"https://[2001:db8::1]{UPLOAD}"),
        pytest.param("http", "", UPLOAD, id="no Host, or a target in absolute form (H29)"),
        pytest.param("http", "h,evil", UPLOAD, id="comma"),
        pytest.param("http", "user@h", UPLOAD, id="userinfo"),
        pytest.param("http", "h/evil", UPLOAD, id="slash"),
        pytest.param("http", "h:port", UPLOAD, id="port"),
        pytest.param("http", "h\r\nX-Evil: 1", UPLOAD, id="line end"),
        pytest.param("http", "[::1", UPLOAD, id="bracket"),
    ],
)
def test_t091_a_location_is_absolute_where_the_host_is_known(
    scheme: str,
    authority: str,
    expected: str,
) -> None:
    assert location(authority, secure=scheme == "https") == expected


def test_a_location_under_the_root() -> None:
    assert render_location(head("POST", "/"), ID, rules(base_path="/")) == f"http://up.example/{ID}"


@pytest.mark.parametrize("base_url", ["https://cdn.example", "https://cdn.example/deep/er"])
def test_t091_the_base_url_wins(base_url: str) -> None:
    by = rules(base_url=base_url, behind_proxy=True)
    request = head("POST", COLLECTION, {"X-Forwarded-Host": "other"})
    assert render_location(request, ID, by) == f"{base_url}{UPLOAD}"


FORWARDED = [
    pytest.param({}, f"http://up.example{UPLOAD}", id="nothing"),
    pytest.param({"X-Forwarded-Proto": "https"}, f"https://up.example{UPLOAD}", id="proto"),
    pytest.param({"X-Forwarded-Host": "pub.example"}, f"http://pub.example{UPLOAD}", id="host"),
    pytest.param(
        {"X-Forwarded-Proto": "HTTPS, http", "X-Forwarded-Host": "a.example, b.example"},
        f"https://a.example{UPLOAD}",
        id="the first of each list",
    ),
    pytest.param(
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example:443"},
        f"https://a.example{UPLOAD}",
        id="the default port",
    ),
    pytest.param({"X-Forwarded-Host": "[::1]:9"}, f"http://[::1]:9{UPLOAD}", id="IPv6"),
    pytest.param({"X-Forwarded-Prefix": "/up/"}, f"http://up.example/up{UPLOAD}", id="prefix"),
    pytest.param(
        {"Forwarded": 'for=1.2.3.4;host="pub.example:8443";proto=https, host=b;proto=http'},
        f"https://pub.example:8443{UPLOAD}",
        id="Forwarded",
    ),
    pytest.param(
        {"Forwarded": "Proto=https; Host=pub.example", "X-Forwarded-Host": "no.example"},
        f"https://pub.example{UPLOAD}",
        id="Forwarded wins",
    ),
    pytest.param(
        {"Forwarded": "for=1.2.3.4", "X-Forwarded-Host": "pub.example"},
        f"http://pub.example{UPLOAD}",
        id="Forwarded without a host",
    ),
    pytest.param(
        {"Forwarded": "host=a b;proto=ftp", "X-Forwarded-Proto": "javascript"},
        f"http://up.example{UPLOAD}",
        id="what is no host or scheme",
    ),
    pytest.param(
        {"X-Forwarded-Prefix": "/../x"}, f"http://up.example{UPLOAD}", id="what is no prefix"
    ),
]


@pytest.mark.parametrize(("fields", "expected"), FORWARDED)
def test_t091_a_trusted_proxy_says_what_the_client_sees(fields: Fields, expected: str) -> None:
    request = head("POST", COLLECTION, fields)
    assert render_location(request, ID, PROXIED) == expected
    assert parse_upload_url(expected, request, PROXIED) == ID


@pytest.mark.parametrize(("fields", "expected"), FORWARDED)
def test_h52_nobody_else_says_what_the_client_sees(fields: Fields, expected: str) -> None:
    request = head("POST", COLLECTION, fields)
    assert expected
    assert render_location(request, ID, PLAIN) == f"http://up.example{UPLOAD}"


def test_behind_a_proxy_that_tells_no_host_a_location_is_relative() -> None:
    request = head("POST", COLLECTION, {"X-Forwarded-Prefix": "/up"}, authority="")
    assert render_location(request, ID, PROXIED) == f"/up{UPLOAD}"


# -- back to the id -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(UPLOAD, id="T171 a path"),
        pytest.param(f"http://up.example{UPLOAD}", id="T172 absolute"),
        pytest.param(f"https://up.example{UPLOAD}", id="TLS ended before us"),
        pytest.param(f"HTTP://UP.example{UPLOAD}", id="case"),
        pytest.param(f"http://up.example:80{UPLOAD}", id="default port"),
        pytest.param(f"https://up.example:443{UPLOAD}", id="default port of https"),
    ],
)
def test_a_url_of_ours_is_read(url: str) -> None:
    assert parse_upload_url(url, head("POST"), PLAIN) == ID


@pytest.mark.parametrize(
    "url",
    [
        f"http://evil.example{UPLOAD}",
        f"http://up.example.evil.example{UPLOAD}",
        f"http://up.example:8080{UPLOAD}",
        f"http://up.example:443{UPLOAD}",
        f"http://user@up.example{UPLOAD}",
        f"ftp://up.example{UPLOAD}",
        f"//up.example{UPLOAD}",
        f"http://{UPLOAD}",
        f"http:{UPLOAD}",
        f"{UPLOAD}?a=b",
        f"{UPLOAD}#a",
        f"{UPLOAD}/",
        f"/files//{ID}",
        f"/files/x/../{ID}",
        f"/files/../files/{ID}",
        "/files/%61",
        "/files/..",
        "/files/",
        "/files",
        "/etc/passwd",
        f"/other/{ID}",
        ID,
        f"files/{ID}",
        "",
        f"/files/{ID}.info",
        f"/files/{ID}\\x",
    ],
)
def test_t174_a_url_that_is_not_exactly_ours_is_400(url: str) -> None:
    with pytest.raises(InvalidHeaderError):
        parse_upload_url(url, head("POST"), PLAIN)


def test_an_absolute_url_is_nobodys_where_no_host_is_known() -> None:
    with pytest.raises(InvalidHeaderError):
        parse_upload_url(f"http://up.example{UPLOAD}", head("POST", authority=""), PLAIN)


def test_h52_a_host_that_only_the_client_forwards_is_not_ours() -> None:
    request = head("POST", COLLECTION, {"X-Forwarded-Host": "evil.example"})
    with pytest.raises(InvalidHeaderError):
        parse_upload_url(f"http://evil.example{UPLOAD}", request, PLAIN)


AUTHORITIES = st.from_regex(r"[a-z0-9]{1,9}(\.[a-z]{2,5})?(:[1-9][0-9]{1,4})?", fullmatch=True)


@given(
    st.from_regex(UPLOAD_ID_PATTERN, fullmatch=True),
    AUTHORITIES | st.just("") | st.just("[::1]:80"),
    st.booleans(),
    st.sampled_from(["/", "/files/", "/a/b/"]),
    st.sampled_from([None, "https://cdn.example", "http://cdn.example:8080/deep"]),
)
def test_the_url_of_an_upload_is_read_back(
    name: str,
    authority: str,
    secure: bool,  # noqa: FBT001
    base_path: str,
    base_url: str | None,
) -> None:
    by = rules(base_path=base_path, base_url=base_url)
    request = head("POST", base_path, authority=authority, secure=secure)
    url = render_location(request, UploadId(name), by)
    assert parse_upload_url(url, request, by) == name
