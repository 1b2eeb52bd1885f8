"""The S3 front as boto3 uses it: objects and their lists, and what is refused by which code."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import zlib
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.storages.app_server import AppServer
from tests.storages.s3_clients import boto, refused

if TYPE_CHECKING:
    from tests.server import Server

DATA = os.urandom(700_000)


def keys(s3: Any, bucket: str = "private", **wanted: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, **wanted).get("Contents", ())]


@pytest.mark.parametrize("size", [0, 5, len(DATA)])
def test_what_is_put_is_got_as_it_was(s3: Any, server: Server, size: int) -> None:
    data = DATA[:size]
    made = s3.put_object(
        Bucket="public",
        Key=f"got/{size}",
        Body=data,
        ContentType="image/png",
        Metadata={"by": "me"},
    )
    got = s3.get_object(Bucket="public", Key=f"got/{size}")
    assert got["Body"].read() == data
    assert (got["ContentType"], got["Metadata"]) == ("image/png", {"by": "me"})
    assert got["ETag"] == made["ETag"]
    head = s3.head_object(Bucket="public", Key=f"got/{size}")
    assert (head["ContentLength"], head["ETag"]) == (size, made["ETag"])
    # It is an object like any other: the app server and everybody find it.
    assert AppServer(server).retrieve(f"got/{size}") == data
    assert AppServer(server).ask("GET", f"/public/got/{size}").body == data


def test_parts_and_conditions_are_as_http_has_them(s3: Any) -> None:
    s3.put_object(Bucket="public", Key="ranges", Body=DATA)
    get = partial(s3.get_object, Bucket="public", Key="ranges")
    part = get(Range="bytes=100-299")
    assert part["Body"].read() == DATA[100:300]
    assert part["ContentRange"] == f"bytes 100-299/{len(DATA)}"
    assert get(Range="bytes=-5")["Body"].read() == DATA[-5:]
    assert refused(lambda: get(Range=f"bytes={len(DATA)}-")) == (416, "InvalidRange")
    tag = part["ETag"]
    assert get(IfMatch=tag)["ETag"] == tag
    assert refused(lambda: get(IfMatch='"other"')) == (412, "PreconditionFailed")
    assert refused(lambda: get(IfNoneMatch=tag))[0] == 304
    now = datetime.now(UTC)
    assert refused(lambda: get(IfModifiedSince=now + timedelta(days=1)))[0] == 304
    assert refused(lambda: get(IfUnmodifiedSince=now - timedelta(days=1)))[0] == 412


def test_a_signed_request_may_say_how_it_is_described(s3: Any) -> None:
    s3.put_object(Bucket="public", Key="described", Body=b"x", ContentType="text/csv")
    got = s3.get_object(
        Bucket="public",
        Key="described",
        ResponseContentType="text/plain",
        ResponseContentDisposition='attachment; filename="a b.txt"',
        ResponseCacheControl="max-age=9",
    )
    assert got["ContentType"] == "text/plain"
    assert got["ContentDisposition"] == 'attachment; filename="a b.txt"'
    assert got["CacheControl"] == "max-age=9"
    wrong = partial(s3.get_object, Bucket="public", Key="described", ResponseContentType="a\nb")
    assert refused(wrong) == (400, "InvalidArgument")


def test_what_is_there_is_kept_where_the_client_says_so(s3: Any) -> None:
    put = partial(s3.put_object, Bucket="private", Key="kept.txt", Body=b"first")
    put(IfNoneMatch="*")
    assert refused(lambda: put(IfNoneMatch="*", Body=b"second")) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket="private", Key="kept.txt")["Body"].read() == b"first"
    put(Body=b"third")
    assert s3.get_object(Bucket="private", Key="kept.txt")["Body"].read() == b"third"
    assert refused(lambda: put(IfMatch='"x"')) == (501, "NotImplemented")
    delete = partial(s3.delete_object, Bucket="private", Key="kept.txt", IfMatch='"x"')
    assert refused(delete) == (501, "NotImplemented")
    assert s3.get_object(Bucket="private", Key="kept.txt")["Body"].read() == b"third"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [9, len(DATA)])
def test_checksums_are_verified_and_told(s3: Any, algorithm: str, size: int) -> None:
    data = DATA[:size]
    put = partial(s3.put_object, Bucket="public", Key="summed", Body=data)
    told = put(ChecksumAlgorithm=algorithm)
    right = {
        "CRC32": zlib.crc32(data).to_bytes(4, "big"),
        "SHA1": hashlib.sha1(data).digest(),
        "SHA256": hashlib.sha256(data).digest(),
    }[algorithm]
    name = f"Checksum{algorithm}"
    assert told[name] == base64.b64encode(right).decode()
    wrong = base64.b64encode(bytes(len(right))).decode()
    assert refused(lambda: put(**{name: wrong})) == (400, "BadDigest")
    assert refused(lambda: put(**{name: "no"})) == (400, "InvalidRequest")
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    put(ContentMD5=md5)
    assert refused(lambda: put(ContentMD5=base64.b64encode(bytes(16)).decode()))[1] == "BadDigest"
    assert refused(lambda: put(ContentMD5="no"))[1] == "InvalidDigest"
    assert refused(lambda: put(ChecksumXXHASH64="AAAAAAAAAAA="))[0] == 501


def test_a_body_is_what_its_signature_says(s3: Any) -> None:
    def exchange(request: Any, **_: Any) -> None:
        request.body = b"somebody else's"

    s3.meta.events.register("before-send.s3.PutObject", exchange)
    try:
        put = partial(s3.put_object, Bucket="public", Key="exchanged", Body=b"somebody's data")
        assert refused(put) == (400, "XAmzContentSHA256Mismatch")
    finally:
        s3.meta.events.unregister("before-send.s3.PutObject", exchange)
    assert refused(lambda: s3.get_object(Bucket="public", Key="exchanged")) == (404, "NoSuchKey")


def test_lists_go_page_by_page_and_roll_up_what_lies_below_a_delimiter(s3: Any) -> None:
    names = ["L/a", "L/b/1", "L/b/2", "L/b/c/3", "L/b.txt", "L/d/4", "L/e", "L/f/5"]
    for name in names:
        s3.put_object(Bucket="private", Key=name, Body=b"x")
    assert keys(s3, Prefix="L/") == sorted(names)
    assert keys(s3, Prefix="L/", StartAfter="L/b/1") == sorted(names)[3:]
    assert keys(s3, Prefix="L/\N{LATIN SMALL LETTER A WITH DIAERESIS}") == []
    for most in (1, 2, 3, 1000):
        found: list[str] = []
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket="private", Prefix="L/", Delimiter="/", PaginationConfig={"PageSize": most}
        )
        for page in pages:
            rows = [each["Key"] for each in page.get("Contents", ())]
            rows += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
            assert page["KeyCount"] == len(rows) <= most
            found += rows
        assert sorted(found) == ["L/a", "L/b.txt", "L/b/", "L/d/", "L/e", "L/f/"]
        first = s3.get_paginator("list_objects").paginate(
            Bucket="private", Prefix="L/", Delimiter="/", PaginationConfig={"PageSize": most}
        )
        assert sorted(each["Key"] for page in first for each in page.get("Contents", ())) == [
            "L/a", "L/b.txt", "L/e",
        ]  # fmt: skip
    assert s3.list_objects_v2(Bucket="private", MaxKeys=0)["KeyCount"] == 0
    wrong = partial(s3.list_objects_v2, Bucket="private", ContinuationToken="=")
    assert refused(wrong) == (400, "InvalidArgument")
    assert refused(lambda: s3.list_objects_v2(Bucket="nowhere")) == (404, "NoSuchBucket")


def test_what_is_deleted_is_gone_whether_or_not_it_was_there(s3: Any) -> None:
    for name in ("D/1", "D/2", "D/3"):
        s3.put_object(Bucket="private", Key=name, Body=b"x")
    for _ in range(2):
        answer = s3.delete_object(Bucket="private", Key="D/1")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    told = s3.delete_objects(
        Bucket="private", Delete={"Objects": [{"Key": key} for key in ("D/2", "D/none", "a b")]}
    )
    assert {each["Key"] for each in told["Deleted"]} == {"D/2", "D/none"}
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("a b", "InvalidArgument")]
    assert keys(s3, Prefix="D/") == ["D/3"]
    quiet = s3.delete_objects(Bucket="private", Delete={"Objects": [{"Key": "D/3"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert keys(s3, Prefix="D/") == []


def test_storages_are_buckets(s3: Any) -> None:
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["public", "private", "small"]
    assert s3.head_bucket(Bucket="private")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="private")["LocationConstraint"] is None
    assert refused(lambda: s3.head_bucket(Bucket="nowhere")) == (404, "404")


def test_presigned_urls_do_what_they_were_signed_for(s3: Any, server: Server) -> None:
    app = AppServer(server)

    def url(operation: str, **more: Any) -> str:
        wanted = {"Bucket": "private", "Key": "signed/a.txt", **more}
        signed: str = s3.generate_presigned_url(operation, Params=wanted, ExpiresIn=60)
        return signed

    put = url("put_object", ContentType="text/plain")
    assert app.ask("PUT", put, b"by url", Content_Type="text/html").status == 403
    assert app.ask("PUT", put, b"by url", Content_Type="text/plain").status == 200
    chunks = iter([b"by ", b"url"])
    assert app.ask("PUT", url("put_object"), chunks).status == 200  # as FileUploader may send it
    got = app.ask("GET", url("get_object"))
    assert (got.status, got.body) == (200, b"by url")
    head = app.ask("HEAD", url("head_object"))
    assert (head.status, head.fields["content-length"]) == (200, "6")
    assert app.ask("PUT", url("get_object"), b"x").status == 403
    assert app.ask("GET", url("get_object").replace("a.txt", "b.txt")).status == 403
    assert b"Signature V4" in app.ask("GET", "/private/a?AWSAccessKeyId=a&Signature=b").body
    assert app.ask("DELETE", url("delete_object")).status == 204
    gone = app.ask("GET", url("get_object"))
    assert (gone.status, b"<Code>NoSuchKey</Code>" in gone.body) == (404, True)
    assert gone.fields["content-type"] == "application/xml"
    assert f"<RequestId>{gone.fields['x-amz-request-id']}<".encode() in gone.body


def test_refusals_have_the_codes_of_s3(s3: Any, server: Server) -> None:
    def put(key: str, bucket: str = "public", **more: Any) -> tuple[int, str]:
        return refused(partial(s3.put_object, Bucket=bucket, Key=key, Body=b"x" * 1001, **more))

    assert put("a", "nowhere") == (404, "NoSuchBucket")
    assert put("a.b") == (400, "InvalidArgument")
    assert put("a//b") == (400, "InvalidArgument")
    assert put("a" * 1025) == (400, "KeyTooLongError")
    assert put("a", "small") == (400, "EntityTooLarge")
    for more in (
        {"Tagging": "a=b"},
        {"ServerSideEncryption": "AES256"},
        {"ContentEncoding": "gzip"},
        {"GrantRead": "id=a"},
    ):
        assert put("a", **more) == (501, "NotImplemented")
    assert put("a", Metadata={"a": "x" * 2048}) == (400, "InvalidArgument")
    assert refused(lambda: s3.get_bucket_versioning(Bucket="public")) == (501, "NotImplemented")
    assert refused(lambda: s3.create_bucket(Bucket="public")) == (405, "MethodNotAllowed")
    with boto(server, secret_key="another-secret") as stranger:
        assert refused(stranger.list_buckets) == (403, "SignatureDoesNotMatch")


def test_who_does_not_sign_is_let_in_as_everybody_is(server: Server) -> None:
    app = AppServer(server)
    app.store("open", b"for all")
    app.store("closed", b"for few", "private")
    assert app.ask("GET", "/public/open").body == b"for all"
    assert app.ask("GET", "/private/closed").body.startswith(b"ERR_TICKET")
    refused_as_s3 = app.ask("GET", "/private/closed", x_amz_date="20261126T000000Z")
    assert (refused_as_s3.status, b"AccessDenied" in refused_as_s3.body) == (403, True)
    assert app.ask("GET", "/public/open", x_amz_date="20261126T000000Z").status == 200
    assert app.ask("GET", "/nowhere/x").status == 404
    assert app.ask("GET", "/").status == 404
    description = app.ticket("by/ticket")
    assert app.upload(description, b"x").status == 204


def test_who_does_not_sign_is_not_told_which_storages_there_are(server: Server) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n'
    for bucket in ("private", "nowhere"):
        told = AppServer(server).ask(
            "POST", f"/{bucket}", form, Content_Type="multipart/form-data; boundary=x"
        )
        assert (told.status, b"<Code>AccessDenied</Code>" in told.body) == (403, True)


def test_a_part_of_an_object_does_not_become_the_whole(s3: Any, server: Server) -> None:
    s3.put_object(Bucket="public", Key="whole", Body=b"first")
    upload = s3.create_multipart_upload(Bucket="public", Key="whole")["UploadId"]
    place = {"Bucket": "public", "Key": "whole"}
    of_part = {**place, "UploadId": upload, "PartNumber": 1}
    for operation, wanted in (("put_object", place), ("upload_part", of_part)):
        url = s3.generate_presigned_url(operation, Params=wanted)
        told = AppServer(server).ask("PUT", url, b"rs", Content_Range="bytes 2-3/5")
        assert (told.status, b"<Code>NotImplemented</Code>" in told.body) == (501, True)
    assert s3.get_object(Bucket="public", Key="whole")["Body"].read() == b"first"


def test_a_put_says_how_long_it_is(s3: Any, server: Server) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "public", "Key": "unsaid"})
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"MissingContentLength" in answer.read()) == (411, True)
    connection.close()
