"""``Upload-Metadata`` into pairs, and what is known of an upload into its ``.info`` and back."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.micro.requests import UPLOAD
from fileloft_fast.model import Offset, UploadInfo
from fileloft_fast.stores.fs.info_file import parse_info, render_info
from fileloft_fast.tus.headers import parse_metadata

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired

ONE: Final = "filename c21hbGwuYmlu"
TEN: Final = ",".join(f"key{n} {b64encode(b'value of it' * n).decode()}" for n in range(10))
INFO: Final = UploadInfo(
    id=UPLOAD,
    offset=Offset(0),
    length=4096,
    metadata=parse_metadata(ONE),
    created_at=1_700_000_000.5,
    modified_at=1_700_000_000.5,
    expires_at=1_700_086_400.5,
)


@pytest.mark.parametrize(("raw", "pairs"), [(ONE, 1), (TEN, 10)], ids=["1 pair", "10 pairs"])
def test_metadata(paired: Paired, raw: str, pairs: int) -> None:
    metadata = paired(parse_metadata, raw)
    assert len(metadata.pairs) == pairs
    assert metadata.raw == raw


def test_info_is_written(paired: Paired) -> None:
    contents = paired(render_info, INFO)
    assert parse_info(contents, UPLOAD).info.length == 4096


def test_info_is_read(paired: Paired) -> None:
    record = paired(parse_info, render_info(INFO), UPLOAD)
    assert record.info.metadata == INFO.metadata
    assert record.unverified_from is None
