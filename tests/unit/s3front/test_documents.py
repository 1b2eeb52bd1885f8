"""What is rendered, botocore reads back; what is read is bounded, and has no document type."""

from __future__ import annotations

import time
import tracemalloc
from functools import cache
from typing import Any

import botocore.parsers
import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileloft_fast.s3front import documents
from fileloft_fast.s3front.codes import (
    S3_ERRORS,
    AccessDeniedError,
    InternalError,
    InvalidPartOrderError,
    MalformedXMLError,
    NoSuchKeyError,
    S3Error,
    s3_error,
)
from fileloft_fast.s3front.documents import Listed, Listing, Part, PartList, Started, UploadList
from fileloft_fast.s3front.reading import (
    MAX_DELETED,
    MAX_DOCUMENT_BYTES,
    MAX_PARTS,
    parse_completion,
    parse_deletion,
    parse_document,
)

AT = 1_770_000_000.75
WHEN = "2026-02-02 02:40:00+00:00"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
# what XML can hold, surrogates and most control characters aside; \r must be escaped
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r&<>\"' "),
    min_size=1,
    max_size=30,
)


@cache
def model() -> Any:
    return botocore.session.get_session().get_service_model("s3")


def read(operation: str, body: bytes, status: int = 200) -> Any:
    """Return a document as botocore gives it to its users."""
    parser = botocore.parsers.RestXMLParser()
    answer = {"status_code": status, "headers": {}, "body": body}
    shape = model().operation_model(operation).output_shape
    parsed = parser.parse(answer, shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS)
def test_any_text_comes_through(key: str, etag: str) -> None:
    page = Listing(bucket="b", objects=[Listed(key, 5, etag, AT)], prefix=key)
    parsed = read("ListObjectsV2", documents.render_listing(page))
    assert parsed["Contents"][0]["Key"] == key
    assert parsed["Contents"][0]["ETag"] == f'"{etag}"'
    assert parsed["Prefix"] == key


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_what_xml_cannot_hold_does_not_break_the_document(text: str) -> None:
    parsed = read("GetObject", documents.render_error(S3Error(text or "x"), text, text), 400)
    assert parsed["Error"]["Code"] == "bad_request"


def test_a_page_of_version_2() -> None:
    page = Listing(
        bucket="b",
        objects=[Listed("a/1", 5, ETAG, AT)],
        prefixes=["a/b/"],
        prefix="a/",
        delimiter="/",
        max_keys=2,
        after="a/0",
        token="given",
        following="next",
    )
    parsed = read("ListObjectsV2", documents.render_listing(page, owner="o"))
    contents = parsed.pop("Contents")
    assert str(contents[0].pop("LastModified")) == WHEN
    assert contents == [
        {"Key": "a/1", "Size": 5, "ETag": f'"{ETAG}"', "StorageClass": "STANDARD",
         "Owner": {"ID": "o", "DisplayName": "o"}}
    ]  # fmt: skip
    assert parsed == {
        "Name": "b", "Prefix": "a/", "Delimiter": "/", "MaxKeys": 2, "IsTruncated": True,
        "KeyCount": 2, "ContinuationToken": "given", "NextContinuationToken": "next",
        "StartAfter": "a/0", "CommonPrefixes": [{"Prefix": "a/b/"}],
    }  # fmt: skip


def test_the_last_page_says_that_it_is() -> None:
    parsed = read("ListObjectsV2", documents.render_listing(Listing(bucket="b")))
    assert parsed == {
        "Name": "b", "Prefix": "", "MaxKeys": 1000, "IsTruncated": False, "KeyCount": 0,
    }  # fmt: skip


def test_a_page_of_version_1() -> None:
    page = Listing(bucket="b", objects=[Listed("k", 5, ETAG, AT)], after="j", following="k")
    parsed = read("ListObjects", documents.render_listing_v1(page, "o"))
    assert (parsed["Marker"], parsed["NextMarker"], parsed["IsTruncated"]) == ("j", "k", True)
    assert parsed["Contents"][0]["Owner"] == {"ID": "o", "DisplayName": "o"}


def test_names_are_encoded_as_in_a_url_where_that_is_asked_for() -> None:
    page = Listing(bucket="b", objects=[Listed("a b/ü+\x01", 1, ETAG, AT)], prefix="a ", url=True)
    text = documents.render_listing(page)
    assert b"<Key>a%20b/%C3%BC%2B%01</Key>" in text
    assert b"<Prefix>a%20</Prefix>" in text
    assert b"<EncodingType>url</EncodingType>" in text


def test_buckets() -> None:
    parsed = read("ListBuckets", documents.render_buckets([("a", AT), ("b", AT)], "o"))
    assert [bucket["Name"] for bucket in parsed["Buckets"]] == ["a", "b"]
    assert str(parsed["Buckets"][0]["CreationDate"]) == WHEN
    assert parsed["Owner"] == {"ID": "o", "DisplayName": "o"}


def test_a_multipart_upload_from_its_beginning_to_its_end() -> None:
    started = documents.render_upload_started("b", "k&", "u")
    assert read("CreateMultipartUpload", started) == {"Bucket": "b", "Key": "k&", "UploadId": "u"}
    completed = {"Location": "http://h/b/k", "Bucket": "b", "Key": "k", "ETag": f'"{ETAG}"'}
    told = {"ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumType": "FULL_OBJECT"}
    for checksums, more in (({}, {}), ({"crc64nvme": "AAAAAAAAAAA="}, told)):
        document = documents.render_upload_completed("http://h/b/k", "b", "k", ETAG, checksums)
        assert read("CompleteMultipartUpload", document) == completed | more
    page = PartList(
        bucket="b", key="k", upload_id="u", parts=[Part(2, 9, ETAG, AT)], after=1, following=2
    )
    parsed = read("ListParts", documents.render_parts(page, "o"))
    assert (parsed["PartNumberMarker"], parsed["NextPartNumberMarker"]) == (1, 2)
    assert parsed["IsTruncated"] is True
    assert str(parsed["Parts"][0].pop("LastModified")) == WHEN
    assert parsed["Parts"] == [{"PartNumber": 2, "Size": 9, "ETag": f'"{ETAG}"'}]
    uploads = UploadList(bucket="b", uploads=[Started("k", "u", AT)], following=("k", "u"))
    parsed = read("ListMultipartUploads", documents.render_uploads(uploads, "o"))
    assert (parsed["NextKeyMarker"], parsed["NextUploadIdMarker"]) == ("k", "u")
    assert (parsed["Uploads"][0]["Key"], parsed["Uploads"][0]["UploadId"]) == ("k", "u")


def test_what_was_deleted_and_what_was_not() -> None:
    text = documents.render_deleted(["a"], [("b", AccessDeniedError())])
    assert read("DeleteObjects", text) == {
        "Deleted": [{"Key": "a"}],
        "Errors": [{"Key": "b", "Code": "AccessDenied", "Message": "Access denied."}],
    }


@pytest.mark.parametrize(
    ("region", "read_as"), [("us-east-1", {}), ("eu-x-1", {"LocationConstraint": "eu-x-1"})]
)
def test_a_location(region: str, read_as: dict[str, str]) -> None:
    text = documents.render_location(region)
    assert text.startswith(b"<?xml")
    assert (f">{region}<".encode() in text) == bool(read_as)


def test_a_form_that_asked_for_a_document() -> None:
    text = documents.render_form_stored("http://h/b/k", "b", "k", ETAG)
    assert b"<PostResponse><Location>http://h/b/k</Location><Bucket>b</Bucket>" in text


def test_an_error_has_its_code_message_and_details() -> None:
    text = documents.render_error(NoSuchKeyError(Key="a&b"), "/b/a%26b", "7")
    parsed = read("GetObject", text, 404)
    assert parsed["Error"] == {
        "Code": "NoSuchKey", "Message": "The key does not exist.", "Key": "a&b",
        "Resource": "/b/a%26b",
    }  # fmt: skip
    assert b"<RequestId>7</RequestId>" in text


# -- codes ----------------------------------------------------------------------------------------


def test_every_error_of_ours_is_one_of_s3s() -> None:
    for ours, theirs in S3_ERRORS:
        first = next(other for known, other in S3_ERRORS if issubclass(ours, known))
        assert first is theirs, f"the row of {ours.__name__} is behind that of its base"
    assert isinstance(s3_error(ValueError("secret")), InternalError)
    assert "secret" not in str(s3_error(ValueError("secret")))
    same = NoSuchKeyError()
    assert s3_error(same) is same


def test_no_two_errors_have_one_code() -> None:
    codes = [error.code for error in S3Error.__subclasses__()]
    assert len({*codes}) == len(codes)
    assert all(error.__doc__ for error in S3Error.__subclasses__())


# -- what clients send ----------------------------------------------------------------------------


def completion(*parts: tuple[object, str]) -> bytes:
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in parts)
    return f"<CompleteMultipartUpload {NAMESPACE}>{rows}</CompleteMultipartUpload>".encode()


def deletion(*keys: str, more: str = "") -> bytes:
    rows = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    return f"<?xml version='1.0'?><Delete>{rows}{more}</Delete>".encode()


def test_a_completion_is_read() -> None:
    body = completion((1, "&quot;a&quot;"), (" 3\n", '"b"'), (MAX_PARTS, "c"))
    assert parse_completion(body) == [(1, "a"), (3, "b"), (MAX_PARTS, "c")]


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1)])
def test_parts_must_be_in_order(numbers: tuple[int, int]) -> None:
    with pytest.raises(InvalidPartOrderError):
        parse_completion(completion(*((number, "e") for number in numbers)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"<a/>",
        completion(),
        completion((0, "e")),
        completion((MAX_PARTS + 1, "e")),
        completion(("-1", "e")),
        completion(("x", "e")),
        completion(("1" * 5000, "e")),
        completion((1, "e"))[:-1],
        completion((1, "e")) + b"<a/>",
        completion((1, "<x>e</x>")),
        completion((1, "e</ETag><ETag>f")),
        completion((1, "&undefined;")),
        completion((1, "\x01")),
        b"<CompleteMultipartUpload><Part><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Other/></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload>" + b"<Part>" * 100_000,
    ],
)
def test_a_completion_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedXMLError):
        parse_completion(body)


def seconds_to_read(text: str) -> float:
    """Return how long a document takes whose text is *text* and, behind elements, much more."""
    document = f"<Delete>{text}{'<a/>k' * 20_000}</Delete>".encode()
    took = []
    for _ in range(3):
        before = time.thread_time()
        assert parse_document(document).text == text + "k" * 20_000
        took.append(time.thread_time() - before)
    return min(took)


def test_what_a_piece_of_a_text_costs_does_not_grow_with_what_came_before_it() -> None:
    """Each piece copied all before it: 2 MiB took many seconds, in which nobody was served."""
    assert seconds_to_read("k" * 1_500_000) < 8 * seconds_to_read("k")


def test_a_deletion_is_read() -> None:
    assert parse_deletion(deletion("a/b", " ü&amp;")).keys == ("a/b", " ü&")
    assert not parse_deletion(deletion("a")).quiet
    assert parse_deletion(deletion("a", more="<Quiet>true</Quiet>")).quiet


@pytest.mark.parametrize(
    "body",
    [
        deletion(),
        deletion(""),
        deletion(*["k"] * (MAX_DELETED + 1)),
        deletion("a", more="<Quiet>yes</Quiet>"),
        deletion("a", more="<Quiet/><Quiet/>"),
        deletion("a", more="<Other/>"),
        deletion("a", more="<Object/>"),
        deletion("a") + b" " * MAX_DOCUMENT_BYTES,
    ],
)
def test_a_deletion_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedXMLError):
        parse_deletion(body)


LAUGHS = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
ATTACKS = {
    "laughs": f'<!DOCTYPE d [<!ENTITY a0 "ha">{LAUGHS}]><Delete>&a12;</Delete>',
    "file": '<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><Delete>&f;</Delete>',
    "parameter": '<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1/x">%p;]><Delete/>',
    "outside": '<!DOCTYPE d SYSTEM "http://127.0.0.1/d.dtd"><Delete/>',
    "attributes": '<!DOCTYPE d [<!ATTLIST Delete x CDATA "y">]><Delete/>',
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_document_type_is_refused_before_it_does_anything(attack: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MalformedXMLError, match="document type"):
            parse_deletion(ATTACKS[attack].encode())
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()
