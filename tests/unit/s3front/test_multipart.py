"""Parts that go while an object is put together of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from fileloft_fast.model import RequestHead, UploadId
from fileloft_fast.s3front.asked import Asked
from fileloft_fast.s3front.codes import InvalidPartError
from fileloft_fast.s3front.multipart import Multipart
from fileloft_fast.storages.entry import Wish, made_etag
from fileloft_fast.storages.named import Storages
from fileloft_fast.storages.sessions import Part, Session
from tests.unit.storages.shop import Shop, play

if TYPE_CHECKING:
    from pathlib import Path

BLOB = UploadId("a" * 32)


def test_a_part_that_is_replaced_meanwhile_is_not_the_one_that_was_meant(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        sessions = shop.catalogue.sessions
        session = Session("b" * 32, Wish(path="a/b"), time.time(), "")
        part = Part(1, BLOB, 5, made_etag(BLOB), time.time())
        await sessions.begin("public", session)
        await sessions.add("public", "a/b", session.id, part)
        # Of its bytes nothing is there, as when they went after the parts had been looked up.
        nothing = cast("Any", None)
        asked = Asked(RequestHead("POST", "/public/a/b", {}), nothing, nothing, "public", "a/b", {})
        multipart = Multipart(Storages({"public": shop.storage}), "owner")
        with pytest.raises(InvalidPartError):
            await multipart._join(shop.storage, session, [(1, part.etag)], asked, ())

    play(tmp_path, scene)
