"""The worked examples of the S3 documentation, signature by signature."""

from __future__ import annotations

from calendar import timegm
from typing import Final

import pytest

from fileloft_fast.model import RequestHead
from fileloft_fast.s3front.codes import SignatureDoesNotMatchError
from fileloft_fast.s3front.signature import verify
from tests.unit.s3front.signing import SECRETS

# "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference; all of one moment.
AT: Final = timegm((2013, 5, 24, 0, 0, 0))
SCOPE: Final = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
BUCKET: Final = "examplebucket.s3.amazonaws.com"


def example(
    method: str, target: str, signature: str, host: str = BUCKET, **headers: str
) -> RequestHead:
    path, _, query = target.partition("?")
    fields = {"host": host, "x-amz-date": "20130524T000000Z"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    names = ";".join(sorted(fields))
    fields["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={names},Signature={signature}"
    )
    return RequestHead(method, path, fields, query=query)


def chunked(payload: str, signature: str, **headers: str) -> RequestHead:
    """Return the PUT of 66560 bytes in chunks; ``chunks`` has its body."""
    return example(
        "PUT",
        "/examplebucket/chunkObject.txt",
        signature,
        "s3.amazonaws.com",
        content_encoding="aws-chunked",
        x_amz_content_sha256=payload,
        x_amz_decoded_content_length="66560",
        x_amz_storage_class="REDUCED_REDUNDANCY",
        **headers,
    )


SIGNED_CHUNKS: Final = chunked(
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    content_length="66824",
)
SIGNED_TRAILER: Final = chunked(
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    x_amz_trailer="x-amz-checksum-crc32c",
)
EXAMPLES: Final = {
    "GET object": example(
        "GET",
        "/test.txt",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        range="bytes=0-9",
        x_amz_content_sha256=EMPTY,
    ),
    "PUT object": example(
        "PUT",
        "/test%24file.text",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        date="Fri, 24 May 2013 00:00:00 GMT",
        x_amz_content_sha256="44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        x_amz_storage_class="REDUCED_REDUNDANCY",
    ),
    "GET lifecycle": example(
        "GET",
        "/?lifecycle",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        x_amz_content_sha256=EMPTY,
    ),
    "list": example(
        "GET",
        "/?max-keys=2&prefix=J",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        x_amz_content_sha256=EMPTY,
    ),
    "chunks": SIGNED_CHUNKS,
    "chunks and a trailer": SIGNED_TRAILER,
    "presigned GET": RequestHead(
        "GET",
        "/test.txt",
        {"host": BUCKET},
        query=f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE.replace('/', '%2F')}"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_documentation_is_verified(name: str) -> None:
    assert verify(EXAMPLES[name], SECRETS, AT).access_key == "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_not_verified_for_another_secret(name: str) -> None:
    with pytest.raises(SignatureDoesNotMatchError):
        verify(EXAMPLES[name], {"AKIAIOSFODNN7EXAMPLE": "another"}, AT)
