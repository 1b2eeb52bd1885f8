"""Multipart uploads through the S3 front: what is put together, what is refused, what survives."""

from __future__ import annotations

import base64
import os
import socket
import threading
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig

from tests.server import Server
from tests.storages.app_server import AppServer
from tests.storages.s3_clients import S3_SETTINGS, boto, refused

MIB = 1024 * 1024
PART = os.urandom(5 * MIB)
LAST = b"the last part may be short"
IN = {"Bucket": "private", "Key": "parts/file.bin"}


def begin(s3: Any) -> dict[str, Any]:
    return {**IN, "UploadId": s3.create_multipart_upload(**IN, ContentType="text/csv")["UploadId"]}


def put(s3: Any, upload: dict[str, Any], number: int, data: bytes) -> dict[str, Any]:
    etag = s3.upload_part(**upload, PartNumber=number, Body=data)["ETag"]
    return {"PartNumber": number, "ETag": etag}


def complete(s3: Any, upload: dict[str, Any], *parts: dict[str, Any], **more: Any) -> Any:
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": list(parts)}, **more)


def content(s3: Any) -> bytes:
    data: bytes = s3.get_object(**IN)["Body"].read()
    return data


def files(server: Server) -> set[str]:
    folder = Path(server.data, "storages", "private")
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "this never came to pass"
        time.sleep(0.01)  # between two looks


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(
    s3: Any, server: Server, tmp_path: Path
) -> None:
    before = files(server)
    file = tmp_path / "large"
    file.write_bytes(PART * 4)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    extra = {"ContentType": "video/mp4", "Metadata": {"by": "me"}}
    s3.upload_file(str(file), "private", "parts/large", ExtraArgs=extra, Config=config)
    back = tmp_path / "back"
    s3.download_file("private", "parts/large", str(back), Config=config)
    assert back.read_bytes() == PART * 4
    head = s3.head_object(Bucket="private", Key="parts/large")
    assert (head["ContentType"], head["Metadata"]) == ("video/mp4", {"by": "me"})
    wait_until(lambda: len(files(server) - before) == 2)  # the object and its description
    s3.delete_object(Bucket="private", Key="parts/large")
    wait_until(lambda: files(server) == before)


def test_a_part_may_come_again_and_the_last_one_counts(s3: Any) -> None:
    upload = begin(s3)
    first = put(s3, upload, 1, PART)
    put(s3, upload, 2, b"another one")
    last = put(s3, upload, 2, LAST)
    listed = s3.list_parts(**upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, len(PART)), (2, len(LAST))]
    assert refused(lambda: s3.get_object(**IN)) == (404, "NoSuchKey")
    told = complete(s3, upload, first, last)
    assert content(s3) == PART + LAST
    assert s3.head_object(**IN)["ETag"] == told["ETag"]
    # The answer may have been lost: who asks again is told the same.
    assert complete(s3, upload, first, last)["ETag"] == told["ETag"]
    assert refused(lambda: put(s3, upload, 3, b"late")) == (404, "NoSuchUpload")
    assert refused(lambda: s3.list_parts(**upload)) == (404, "NoSuchUpload")
    assert refused(lambda: s3.abort_multipart_upload(**upload)) == (404, "NoSuchUpload")
    s3.delete_object(**IN)


def test_what_does_not_fit_together_is_refused_and_can_be_mended(s3: Any) -> None:
    upload = begin(s3)
    first, second, last = (
        put(s3, upload, number, data) for number, data in ((1, PART), (2, b"short"), (7, LAST))
    )
    wrong = {**first, "ETag": '"0"'}
    finish = partial(complete, s3, upload)
    assert refused(lambda: finish(wrong, last)) == (400, "InvalidPart")
    assert refused(lambda: finish(first, {**last, "PartNumber": 9})) == (400, "InvalidPart")
    assert refused(lambda: finish(last, first)) == (400, "InvalidPartOrder")
    assert refused(lambda: finish(first, first)) == (400, "InvalidPartOrder")
    assert refused(lambda: finish(first, second, last)) == (400, "EntityTooSmall")
    assert refused(finish) == (400, "MalformedXML")
    assert refused(lambda: finish(first, last, MpuObjectSize=5)) == (400, "InvalidRequest")
    whole = base64.b64encode(zlib.crc32(PART + LAST).to_bytes(4, "big")).decode()
    other = base64.b64encode(bytes(4)).decode()
    assert refused(lambda: finish(first, last, ChecksumCRC32=other)) == (400, "BadDigest")
    for number in (0, 10_001):
        assert refused(partial(put, s3, upload, number, b"x")) == (400, "InvalidArgument")
    unknown = {**upload, "UploadId": "0" * 32}
    assert refused(lambda: put(s3, unknown, 1, b"x")) == (404, "NoSuchUpload")
    assert refused(lambda: put(s3, {**upload, "Key": "other"}, 1, b"x")) == (404, "NoSuchUpload")
    finish(first, last, ChecksumCRC32=whole, ChecksumType="FULL_OBJECT")
    assert content(s3) == PART + LAST
    again = begin(s3)
    part = put(s3, again, 1, b"x")
    kept = partial(complete, s3, again, part, IfNoneMatch="*")
    assert refused(kept) == (412, "PreconditionFailed")
    s3.delete_object(**IN)
    kept()
    assert content(s3) == b"x"
    s3.delete_object(**IN)


def test_uploads_are_listed_until_they_are_over_and_an_aborted_one_leaves_nothing(
    s3: Any, server: Server
) -> None:
    wait_until(lambda: not files(server))
    uploads = [begin(s3) for _ in range(3)]
    put(s3, uploads[0], 1, LAST)
    put(s3, uploads[0], 2, LAST)
    known = sorted(upload["UploadId"] for upload in uploads)
    found: list[str] = []
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket="private", Prefix="parts/", PaginationConfig={"PageSize": 2}
    )
    for page in pages:
        found += [each["UploadId"] for each in page.get("Uploads", ())]
    assert found == known
    pages = s3.get_paginator("list_parts").paginate(**uploads[0], PaginationConfig={"PageSize": 1})
    assert [p["PartNumber"] for page in pages for p in page["Parts"]] == [1, 2]
    for upload in uploads:
        s3.abort_multipart_upload(**upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="private")
    assert refused(lambda: put(s3, uploads[0], 1, b"x")) == (404, "NoSuchUpload")
    wait_until(lambda: not files(server))


def test_a_part_that_is_cut_leaves_nothing_and_may_come_again(s3: Any, server: Server) -> None:
    upload = begin(s3)
    first = put(s3, upload, 1, PART)
    before = files(server)
    wanted = {**upload, "PartNumber": 2}
    url = s3.generate_presigned_url("upload_part", Params=wanted)
    target = url.partition(str(server.address[1]))[2]
    with socket.create_connection(server.address) as client:
        host = f"127.0.0.1:{server.address[1]}"
        head = f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 900\r\n\r\n"
        client.sendall(head.encode() + b"x" * 500)
        wait_until(lambda: files(server) != before)
    wait_until(lambda: files(server) == before)
    assert [part["PartNumber"] for part in s3.list_parts(**upload)["Parts"]] == [1]
    answer = AppServer(server).ask("PUT", url, LAST)
    assert answer.status == 200
    complete(s3, upload, first, {"PartNumber": 2, "ETag": answer.fields["etag"]})
    assert content(s3) == PART + LAST
    s3.delete_object(**IN)


def test_who_completes_at_once_twice_makes_one_object(s3: Any, server: Server) -> None:
    upload = begin(s3)
    parts = [put(s3, upload, 1, PART), put(s3, upload, 2, LAST)]
    etags: list[str] = []

    def finish() -> None:
        with boto(server) as client:
            etags.append(complete(client, upload, *parts)["ETag"])

    threads = [threading.Thread(target=finish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(etags) == 4
    assert len(set(etags)) == 1
    assert content(s3) == PART + LAST
    s3.delete_object(**IN)


def test_parts_survive_a_kill_and_so_does_what_was_completed(tmp_path: Path) -> None:
    settings = {**S3_SETTINGS, "FILELOFT_WORKERS": "2"}
    server = Server(tmp_path, settings)
    with boto(server) as s3:
        upload = begin(s3)
        first = put(s3, upload, 1, PART)
    server.kill()
    server = Server(tmp_path, settings)
    with boto(server) as s3:
        last = put(s3, upload, 2, LAST)
        etag = complete(s3, upload, first, last)["ETag"]
    server.kill()
    with Server(tmp_path, settings) as server, boto(server) as s3:
        assert content(s3) == PART + LAST
        assert s3.head_object(**IN)["ETag"] == etag
        assert complete(s3, upload, first, last)["ETag"] == etag
        wait_until(lambda: len(files(server)) == 2)


def test_parts_that_nobody_goes_on_with_are_swept(tmp_path: Path) -> None:
    settings = {**S3_SETTINGS, "FILELOFT_EXPIRATION_TTL": "2"}
    with Server(tmp_path, settings) as server, boto(server) as s3:
        upload = begin(s3)
        put(s3, upload, 1, LAST)
        wait_until(lambda: not files(server))
        assert refused(lambda: s3.list_parts(**upload)) == (404, "NoSuchUpload")
        assert "Uploads" not in s3.list_multipart_uploads(Bucket="private")
