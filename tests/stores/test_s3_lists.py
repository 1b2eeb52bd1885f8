"""Answers of S3 that come in pages, and joins that the store cannot make, or not to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from fileloft_fast.errors import (
    CannotJoinError,
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.stores.remote.objects import ObjectHead, OpenSession, Receipt
from fileloft_fast.stores.remote.s3.joining import plan_copies
from tests.stores.pieces import PLAIN
from tests.stores.s3_backend import play
from tests.stores.stub import RESET, Answer, Asked, Stub

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.s3 import S3Objects

MIB: Final = 1024**2
GIB: Final = 1024**3
BIG: Final = [
    ObjectHead(key="first", size=6 * MIB, tag='"one"'),
    ObjectHead(key="second", size=5 * MIB, tag='"two"'),
]


def query_of(asked: Asked) -> dict[str, str]:
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(asked.target).query, keep_blank_values=True).items()
    }


# -- pages --------------------------------------------------------------------------------------


def parts_page(asked: Asked) -> Answer:
    """Answer as SeaweedFS does: a part that was sent twice is listed twice."""
    if query_of(asked).get("part-number-marker") != "2":
        parts = part(1, "old", "01") + part(1, "new", "02") + part(2, "new", "05")
        more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>"
    else:
        parts = part(2, "old", "04") + part(
            3, "only", "03", "<ChecksumCRC32C>AAAAAQ==</ChecksumCRC32C>"
        )
        more = "<IsTruncated>false</IsTruncated>"
    return Answer(body=f"<ListPartsResult>{more}{parts}</ListPartsResult>".encode())


def part(number: int, tag: str, second: str, checksum: str = "") -> str:
    return (
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{tag}&quot;</ETag><Size>7</Size>"
        f"<LastModified>2026-11-22T10:00:{second}.000Z</LastModified>{checksum}</Part>"
    )


def test_parts_are_read_to_the_last_page_the_newest_of_each_number() -> None:
    async def scene(objects: S3Objects) -> None:
        assert await objects.list_parts("key", "session") == [
            Receipt(1, 7, '"new"', 0),
            Receipt(2, 7, '"new"', 0),
            Receipt(3, 7, '"only"', 1),
        ]

    with Stub(parts_page) as stub:
        play(stub.url, scene)
    assert len(stub.asked) == 2


def test_keys_are_read_to_the_last_page() -> None:
    def page(asked: Asked) -> Answer:
        query = query_of(asked)
        assert query["prefix"] == "a b/"
        number = int(query.get("continuation-token", "0"))
        more = f"<NextContinuationToken>{number + 1}</NextContinuationToken>"
        return Answer(
            body=f"<ListBucketResult><IsTruncated>{str(number < 2).lower()}</IsTruncated>"
            f"{more if number < 2 else ''}<EncodingType>url</EncodingType>"
            f"<Contents><Key>a+b%2F{number}%C3%A9</Key></Contents></ListBucketResult>".encode()
        )

    async def scene(objects: S3Objects) -> None:
        assert [key async for key in objects.list_keys("a b/")] == ["a b/0é", "a b/1é", "a b/2é"]

    with Stub(page) as stub:
        play(stub.url, scene)


def test_sessions_are_read_to_the_last_page() -> None:
    def page(asked: Asked) -> Answer:
        last = query_of(asked).get("upload-id-marker") == "u1"
        name = "u2" if last else "u1"
        more = f"<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>{name}</NextUploadIdMarker>"
        return Answer(
            body=f"<ListMultipartUploadsResult><IsTruncated>{str(not last).lower()}</IsTruncated>"
            f"{'' if last else more}<Upload><Key>k</Key><UploadId>{name}</UploadId>"
            "<Initiated>1970-01-01T00:01:40.000Z</Initiated></Upload>"
            "</ListMultipartUploadsResult>".encode()
        )

    async def scene(objects: S3Objects) -> None:
        assert [found async for found in objects.list_sessions("k")] == [
            OpenSession("k", "u1", 100.0),
            OpenSession("k", "u2", 100.0),
        ]

    with Stub(page) as stub:
        play(stub.url, scene)


def test_a_page_that_does_not_come_ends_the_list_with_an_error() -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(RemoteUnavailableError):
            await anext(aiter(objects.list_keys("")))

    with Stub(lambda _: Answer(503)) as stub:
        play(stub.url, scene)


# -- joins --------------------------------------------------------------------------------------


class Copier:
    """A store that copies, but for what *fails* at a step, and keeps the order of the steps."""

    def __init__(self, **fails: Answer) -> None:
        self.steps: list[str] = []
        self.fails = fails

    def __call__(self, asked: Asked) -> Answer:
        step = step_of(asked)
        self.steps.append(step)
        if step in self.fails:
            return self.fails[step]
        bodies = {
            "create": "<R><UploadId>session</UploadId></R>",
            "copy": "<CopyPartResult><ETag>&quot;part&quot;</ETag></CopyPartResult>",
            "complete": "<R><ETag>&quot;whole&quot;</ETag></R>",
        }
        return Answer(204) if step == "abort" else Answer(body=bodies[step].encode())


def step_of(asked: Asked) -> str:
    if asked.method == "POST":
        return "create" if "uploads" in query_of(asked) else "complete"
    return {"PUT": "copy", "DELETE": "abort"}[asked.method]


def error(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code></Error>".encode())


def test_a_join_copies_what_it_was_told_of_and_never_overwrites() -> None:
    async def scene(objects: S3Objects) -> None:
        joined = await objects.join("key", BIG, PLAIN)
        assert (joined.size, joined.tag) == (11 * MIB, '"whole"')

    with Stub(Copier()) as stub:
        play(stub.url, scene)
    copies = sorted(
        (asked for asked in stub.asked if step_of(asked) == "copy"),
        key=lambda asked: query_of(asked)["partNumber"],
    )
    for asked, source in zip(copies, BIG, strict=True):
        assert asked.headers["x-amz-copy-source"] == f"uploads/{source.key}"
        assert asked.headers["x-amz-copy-source-range"] == f"bytes=0-{source.size - 1}"
        assert asked.headers["x-amz-copy-source-if-match"] == source.tag
    assert stub.asked[-1].headers["if-none-match"] == "*"


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("copy", error(501, "NotImplemented"), CannotJoinError),
        ("copy", error(400, "InvalidRequest"), CannotJoinError),
        ("copy", error(503, "SlowDown"), RemoteUnavailableError),
        ("copy", RESET, RemoteUnavailableError),
        ("copy", error(404, "NoSuchKey"), ObjectNotFoundError),
        ("copy", error(412, "PreconditionFailed"), ObjectNotFoundError),
        ("complete", error(400, "EntityTooSmall"), CannotJoinError),
        ("complete", error(400, "InvalidPart"), CannotJoinError),
        ("complete", error(412, "PreconditionFailed"), ConditionFailedError),
        ("complete", error(200, "InternalError"), RemoteUnavailableError),
    ],
)
def test_a_join_that_fails_leaves_no_session(
    step: str, answer: Answer, kind: type[StoreError]
) -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(kind):
            await objects.join("key", BIG, PLAIN)

    copier = Copier(**{step: answer})
    with Stub(copier) as stub:
        play(stub.url, scene)
    assert copier.steps[-1] == "abort"
    assert query_of(stub.asked[-1])["uploadId"] == "session"


def test_a_join_tells_what_failed_first_even_if_it_cannot_be_taken_back() -> None:
    async def scene(objects: S3Objects) -> None:
        with pytest.raises(CannotJoinError):
            await objects.join("key", BIG, PLAIN)

    with Stub(Copier(copy=error(501, "NotImplemented"), abort=Answer(503))) as stub:
        play(stub.url, scene)


def test_a_small_object_can_only_be_the_last_of_a_join() -> None:
    small = ObjectHead(key="small", size=5 * MIB - 1, tag="")
    large = ObjectHead(key="large", size=5 * MIB, tag="")
    empty = ObjectHead(key="empty", size=0, tag="")
    assert [copy.length for copy in plan_copies([large, empty, small, empty])] == [
        5 * MIB,
        5 * MIB - 1,
    ]
    with pytest.raises(CannotJoinError):
        plan_copies([small, large])


@pytest.mark.parametrize("size", [GIB, GIB + 1, 5 * GIB + 1, 3 * GIB - 1])
def test_large_objects_are_copied_in_ranges_that_a_store_takes(size: int) -> None:
    copies = plan_copies([ObjectHead(key="large", size=size, tag="")] * 2)
    at = 0
    for copy in copies:
        assert copy.start == at % size
        assert 5 * MIB <= copy.length <= GIB
        at += copy.length
    assert at == 2 * size


def test_a_join_has_no_more_parts_than_a_store_takes() -> None:
    with pytest.raises(CannotJoinError):
        plan_copies([ObjectHead(key="part", size=5 * MIB, tag="")] * 10_001)
