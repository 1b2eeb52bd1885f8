"""tus 1.0, concatenation (T170 to T189)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.endpoint import Endpoint, metadata
from tests.resumption import digest_of
from tests.wire import OCTETS, Answer

if TYPE_CHECKING:
    from tests.conftest import Fleet

HOST = "upload.example"
PARTIAL = {"Upload-Concat": "partial"}


def partial(endpoint: Endpoint, content: bytes) -> str:
    """Create a finished partial upload and return its path."""
    return endpoint.finish(content, PARTIAL)


def concatenate(endpoint: Endpoint, listed: str, **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return endpoint.post({"Upload-Concat": listed, **fields})


def assert_refused(endpoint: Endpoint, listed: str, status: int = 400) -> None:
    before = endpoint.files()
    answer = concatenate(endpoint, listed)
    assert answer.status == status
    assert "Location" not in answer
    assert endpoint.files() == before


def test_a_partial_upload_says_so(tus: Endpoint) -> None:
    """T170."""
    upload = tus.create(5, PARTIAL)
    answer = tus.head(upload)
    assert answer["Upload-Concat"] == "partial"
    assert answer["Upload-Offset"] == "0"
    assert tus.append(upload, 0, b"hello").status == 204
    assert tus.head(upload)["Upload-Concat"] == "partial"
    tus.assert_holds(upload, b"hello")


def test_partials_become_one_upload(tus: Endpoint) -> None:
    """T171: and HEAD tells the list as it was received."""
    listed = f"final;{partial(tus, b'hello ')} {partial(tus, b'world')}"
    answer = concatenate(tus, listed)
    assert answer.status == 201
    final = tus.path_of(answer)
    told = tus.head(final)
    assert told["Upload-Length"] == told["Upload-Offset"] == "11"
    assert told["Upload-Concat"] == listed
    tus.assert_holds(final, b"hello world")


def test_what_is_joined_is_hashed_as_a_whole(fleet: Fleet) -> None:
    """With FILELOFT_DIGEST, T171: HEAD tells the digest of all of it (RFC 9530)."""
    hashing = fleet.endpoint(DIGEST="sha256", ENABLE_CONCATENATION="1")
    listed = f"final;{partial(hashing, b'hello ')} {partial(hashing, b'world')}"
    final = hashing.path_of(concatenate(hashing, listed))
    assert hashing.head(final)["Repr-Digest"] == digest_of(b"hello world")


@pytest.mark.parametrize("size", [4096, 1_000_000])
def test_partials_of_many_sizes_become_one_upload(tus: Endpoint, size: int) -> None:
    """T171: whole blocks, which a file system may share, and none."""
    contents = [bytes([number]) * (size + extra) for number, extra in enumerate((0, 0, 1, 0, 4095))]
    listed = " ".join(partial(tus, content) for content in contents)
    final = tus.path_of(concatenate(tus, f"final;{listed}"))
    tus.assert_holds(final, b"".join(contents))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_partials_may_be_named_by_absolute_urls(tus: Endpoint, scheme: str) -> None:
    """T172: tus-js-client and aiotus send what Location was."""
    first, second = partial(tus, b"hello "), partial(tus, b"world")
    listed = f"final;{scheme}://{HOST}{first} {scheme}://{HOST}{second}"
    answer = concatenate(tus, listed)
    final = tus.path_of(answer)
    assert tus.head(final)["Upload-Concat"] == listed
    tus.assert_holds(final, b"hello world")


def test_the_location_itself_names_a_partial(tus: Endpoint) -> None:
    """T172."""
    answer = tus.post({**PARTIAL, "Upload-Length": "5", "Content-Type": OCTETS}, b"hello")
    final = tus.path_of(concatenate(tus, f"final;{answer['Location']}"))
    tus.assert_holds(final, b"hello")


@pytest.mark.parametrize("form", ["final; {} {}", "final;{}  {}", "final;{} {} ", "final;  {}  {}"])
def test_spaces_between_partials_do_not_matter(tus: Endpoint, form: str) -> None:
    """T173."""
    listed = form.format(partial(tus, b"hello "), partial(tus, b"world"))
    tus.assert_holds(tus.path_of(concatenate(tus, listed)), b"hello world")


@pytest.mark.parametrize(
    "form",
    [
        "http://evil.example{}",
        "//upload.example{}",
        "http://upload.example:81{}",
        "http://user@upload.example{}",
        "http://upload.example.evil.example{}",
        "ftp://upload.example{}",
        "{}?query",
        "{}#fragment",
        "{}/",
        "{}.info",
        "/other{}",
        "/files/..{}",
        "/files/x/..{}",
        "/files/%2e%2e{}",
        "{}%00",
        "http:{}",
        "\\files\\x{}",
    ],
)
def test_a_partial_elsewhere_is_400(tus: Endpoint, form: str) -> None:
    """T174: a URL is never taken for what it nearly says."""
    assert_refused(tus, "final;" + form.format(partial(tus, b"hello")))


def test_a_percent_encoded_partial_is_400(tus: Endpoint) -> None:
    """T174."""
    upload = partial(tus, b"hello")
    assert_refused(tus, f"final;{upload[:-1]}%{ord(upload[-1]):02x}")


@pytest.mark.parametrize(
    "value", ["final;", "final; ", "final", "", ";", "partial;x", "foo", "final,{}", "finalx;{}"]
)
def test_a_list_that_is_none_is_400(tus: Endpoint, value: str) -> None:
    """T175."""
    assert_refused(tus, value.format(partial(tus, b"hello")))


@pytest.mark.parametrize("value", ["Final;{}", "FINAL;{}", "Partial", "partial ,partial"])
def test_the_words_have_a_case(tus: Endpoint, value: str) -> None:
    """T175."""
    before = tus.files()
    listed = value.format(partial(tus, b"hello"))
    before = tus.files()
    assert tus.post({"Upload-Concat": listed, "Upload-Length": "5"}).status == 400
    assert tus.files() == before


def test_the_order_of_the_list_counts_and_a_partial_may_come_twice(tus: Endpoint) -> None:
    """T176."""
    a, b = partial(tus, b"aa"), partial(tus, b"bbb")
    for listed, content in (
        (f"{b} {a}", b"bbbaa"),
        (f"{a} {a}", b"aaaa"),
        (f"{a} {b} {a}", b"aabbbaa"),
    ):
        tus.assert_holds(tus.path_of(concatenate(tus, f"final;{listed}")), content)
    tus.assert_holds(a, b"aa")
    tus.assert_holds(b, b"bbb")


@pytest.mark.parametrize("length", ["5", "99"])
def test_a_length_with_a_final_upload_is_ignored(tus: Endpoint, length: str) -> None:
    """T177."""
    answer = concatenate(tus, f"final;{partial(tus, b'hello')}", Upload_Length=length)
    assert answer.status == 201
    final = tus.path_of(answer)
    assert tus.head(final)["Upload-Length"] == "5"
    tus.assert_holds(final, b"hello")


def test_an_unfinished_partial_is_400(tus: Endpoint) -> None:
    """T178."""
    unfinished = tus.create(5, PARTIAL)
    assert tus.append(unfinished, 0, b"abc").status == 204
    done = partial(tus, b"hello")
    assert_refused(tus, f"final;{done} {unfinished}")
    tus.assert_holds(unfinished, b"abc")


def test_an_upload_that_is_unknown_or_not_partial_is_400(tus: Endpoint) -> None:
    """T179."""
    done = partial(tus, b"hello")
    whole = tus.finish(b"whole")
    final = tus.path_of(concatenate(tus, f"final;{done}"))
    for other in ("/files/0123456789abcdef0123456789abcdef", whole, final):
        assert_refused(tus, f"final;{done} {other}")


@pytest.mark.parametrize(("offset", "body"), [(5, b""), (5, b"x"), (0, b"other"), (9, b"x")])
def test_patch_of_a_final_upload_is_403(tus: Endpoint, offset: int, body: bytes) -> None:
    """T180."""
    source = partial(tus, b"hello")
    final = tus.path_of(concatenate(tus, f"final;{source}"))
    assert tus.append(final, offset, body).status == 403
    tus.assert_holds(final, b"hello")
    tus.assert_holds(source, b"hello")


def test_a_final_upload_has_metadata_of_its_own(tus: Endpoint) -> None:
    """T181."""
    sent = metadata(filename="part")
    source = tus.finish(b"hello", {**PARTIAL, "Upload-Metadata": sent})
    without = tus.path_of(concatenate(tus, f"final;{source}"))
    assert "Upload-Metadata" not in tus.head(without)
    own = metadata(filename="whole", kind="x") + ",flag"
    named = tus.path_of(concatenate(tus, f"final;{source}", Upload_Metadata=own))
    assert tus.head(named)["Upload-Metadata"] == own
    assert tus.head(source)["Upload-Metadata"] == sent


def test_a_final_upload_is_never_seen_unfinished(tus: Endpoint) -> None:
    """T182: without concatenation-unfinished it is whole when the client learns its name."""
    listed = tus.ask("OPTIONS", tus.base)["Tus-Extension"].split(",")
    assert "concatenation-unfinished" not in listed
    answer = concatenate(tus, f"final;{partial(tus, b'x' * 2_000_000)}")
    told = tus.head(tus.path_of(answer))
    assert told["Upload-Offset"] == told["Upload-Length"] == "2000000"


def test_a_finished_partial_is_not_a_finished_upload(tus: Endpoint) -> None:
    """T183: it is only there to be joined, so it goes on expiring."""
    source = partial(tus, b"hello")
    assert "Upload-Expires" in tus.head(source)
    final = tus.path_of(concatenate(tus, f"final;{source}"))
    assert "Upload-Expires" not in tus.head(final)


def test_a_sum_above_the_largest_size_is_413(limited: Endpoint) -> None:
    """T184."""
    a, b = partial(limited, b"a" * 600), partial(limited, b"b" * 400)
    assert_refused(limited, f"final;{a} {a}", 413)
    limited.assert_holds(
        limited.path_of(concatenate(limited, f"final;{a} {b}")), b"a" * 600 + b"b" * 400
    )


def test_a_final_upload_takes_no_body(tus: Endpoint) -> None:
    """T185."""
    source = partial(tus, b"hello")
    before = tus.files()
    answer = tus.post({"Upload-Concat": f"final;{source}", "Content-Type": OCTETS}, b"more")
    assert answer.status == 403
    assert tus.files() == before
    tus.assert_holds(source, b"hello")


def test_partials_of_no_bytes(tus: Endpoint) -> None:
    """T186."""
    empty, full = tus.create(0, PARTIAL), partial(tus, b"hello")
    for listed, content in (
        (f"{empty}", b""),
        (f"{empty} {empty}", b""),
        (f"{empty} {full}", b"hello"),
    ):
        final = tus.path_of(concatenate(tus, f"final;{listed}"))
        assert tus.head(final)["Upload-Length"] == str(len(content))
        tus.assert_holds(final, content)


def test_partials_are_kept_for_another_use(tus: Endpoint) -> None:
    """T187."""
    source = partial(tus, b"hello")
    for _ in range(2):
        tus.assert_holds(tus.path_of(concatenate(tus, f"final;{source}")), b"hello")
    tus.assert_holds(source, b"hello")


def test_partials_are_deleted_where_the_operator_asks_for_it(shop: Endpoint) -> None:
    """T187: FILELOFT_ENABLE_CLEANUP_CONCAT_PARTIALS."""
    a, b = partial(shop, b"hello "), partial(shop, b"world")
    final = shop.path_of(concatenate(shop, f"final;{a} {b} {a}"))
    shop.assert_holds(final, b"hello worldhello ")
    shop.assert_gone(a)
    shop.assert_gone(b)
    assert shop.ask("GET", final).body == b"hello worldhello "
    assert_refused(shop, f"final;{a}")


def test_a_partial_may_have_a_deferred_length(tus: Endpoint) -> None:
    """T188."""
    source = tus.create(None, PARTIAL)
    assert tus.append(source, 0, b"hello").status == 204
    assert_refused(tus, f"final;{source}")
    assert tus.append(source, 5, b"", {"Upload-Length": "5"}).status == 204
    tus.assert_holds(tus.path_of(concatenate(tus, f"final;{source}")), b"hello")


@pytest.mark.parametrize("value", ["partial", "final;/files/0123456789abcdef0123456789abcdef"])
def test_concatenation_while_the_extension_is_off_is_404(plain: Endpoint, value: str) -> None:
    """T189."""
    before = plain.files()
    assert plain.post({"Upload-Concat": value, "Upload-Length": "5"}).status == 404
    assert plain.files() == before


def test_a_final_upload_survives_a_restart(fleet: Fleet) -> None:
    """T171: and so do its list and its kind."""
    with fleet.start(ENABLE_CONCATENATION="1") as server:
        first = Endpoint(server)
        listed = f"final;{partial(first, b'hello ')} {partial(first, b'world')}"
        final = first.path_of(concatenate(first, listed))
    with fleet.restart(server) as server:
        again = Endpoint(server)
        assert again.head(final)["Upload-Concat"] == listed
        assert again.append(final, 11, b"!").status == 403
        again.assert_holds(final, b"hello world")
