"""CRC64NVME through the S3 front: what the SDKs of AWS calculate where nothing else is asked for.

boto3 does so with awscrt alone; here the values are the test's own.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.storages import streams
from tests.storages.s3_clients import bucket_of, refused
from tests.wire import Wire

if TYPE_CHECKING:
    from tests.server import Server
    from tests.wire import Answer

FIELD: Final = "x-amz-checksum-crc64nvme"
WRONG: Final = "AAAAAAAAAAA="
DATA: Final = os.urandom(100_003)
PART: Final = os.urandom(5 * 1024 * 1024)


def _row(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
    return value


TABLE: Final = [_row(value) for value in range(256)]


def crc64nvme(data: bytes) -> str:
    """Return the value of x-amz-checksum-crc64nvme."""
    ones = value = (1 << 64) - 1
    for byte in data:
        value = (value >> 8) ^ TABLE[(value ^ byte) & 255]
    return base64.b64encode((value ^ ones).to_bytes(8, "big")).decode()


def test_the_value_that_everybody_knows() -> None:
    assert base64.b64decode(crc64nvme(b"123456789")).hex() == "ae8b14860a799888"


@pytest.mark.parametrize("size", [0, 9, len(DATA)])
def test_in_the_head_it_is_verified_and_told(s3: Any, size: int) -> None:
    data = DATA[:size]
    where = {"Bucket": "public", "Key": f"head/{size}"}
    put = partial(s3.put_object, **where, Body=data)
    wrong = WRONG if size else crc64nvme(b"x")
    assert refused(lambda: put(ChecksumCRC64NVME=wrong)) == (400, "BadDigest")
    assert refused(lambda: put(ChecksumCRC64NVME="AAAAAA==")) == (400, "InvalidRequest")
    assert refused(lambda: s3.head_object(**where))[0] == 404
    told = put(ChecksumCRC64NVME=crc64nvme(data))
    assert (told["ChecksumCRC64NVME"], told["ChecksumType"]) == (crc64nvme(data), "FULL_OBJECT")
    assert s3.get_object(**where)["Body"].read() == data


def test_in_a_trailer_it_is_verified_and_told(server: Server, s3: Any) -> None:
    bucket = bucket_of(server)

    def put(checksum: str) -> Answer:
        pieces = [DATA[:65536], DATA[65536:]]
        with Wire(server.address) as wire:
            wire.send(streams.put(bucket, "trailer", pieces, field=FIELD, checksum=checksum))
            return wire.read()

    refusal = put(WRONG)
    assert refusal.status == 400
    assert b"<Code>BadDigest</Code>" in refusal.body
    assert refused(lambda: s3.head_object(Bucket="public", Key="trailer"))[0] == 404
    answer = put(crc64nvme(DATA))
    assert (answer.status, answer[FIELD]) == (200, crc64nvme(DATA))
    assert s3.get_object(Bucket="public", Key="trailer")["Body"].read() == DATA


def test_of_a_whole_object_in_parts_it_is_verified_and_told(s3: Any) -> None:
    where = {"Bucket": "private", "Key": "parts"}
    kind = {"ChecksumType": "FULL_OBJECT"}
    begun = s3.create_multipart_upload(**where, **kind, ChecksumAlgorithm="CRC64NVME")
    upload = {**where, "UploadId": begun["UploadId"]}

    def put(number: int, data: bytes, checksum: str) -> dict[str, Any]:
        told = s3.upload_part(**upload, PartNumber=number, Body=data, ChecksumCRC64NVME=checksum)
        assert told["ChecksumCRC64NVME"] == checksum
        return {"PartNumber": number, "ETag": told["ETag"], "ChecksumCRC64NVME": checksum}

    assert refused(lambda: put(2, DATA, WRONG)) == (400, "BadDigest")
    parts = [put(1, PART, crc64nvme(PART)), put(2, DATA, crc64nvme(DATA))]
    finish = partial(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
    whole = crc64nvme(PART + DATA)
    assert refused(lambda: finish(ChecksumCRC64NVME=WRONG, **kind)) == (400, "BadDigest")
    assert refused(lambda: s3.head_object(**where))[0] == 404
    told = finish(ChecksumCRC64NVME=whole, **kind)
    assert (told["ChecksumCRC64NVME"], told["ChecksumType"]) == (whole, "FULL_OBJECT")
    assert s3.get_object(**where)["Body"].read() == PART + DATA
    # Who did not get the answer asks again.
    assert finish(ChecksumCRC64NVME=whole, **kind)["ETag"] == told["ETag"]
