"""From the bytes of a request's head to a ``RequestHead``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.micro.requests import BROWSER, CREATE, INSPECT, append
from fileloft_fast.http1.head import parse_head

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired


@pytest.mark.parametrize(
    ("data", "method", "fields"),
    [
        pytest.param(CREATE, "POST", 6, id="post"),
        pytest.param(append(0), "PATCH", 5, id="patch"),
        pytest.param(INSPECT, "HEAD", 2, id="head"),
        pytest.param(BROWSER, "PATCH", 17, id="browser"),
    ],
)
def test_a_head(paired: Paired, data: bytes, method: str, fields: int) -> None:
    head = paired(parse_head, data)
    assert (head.method, len(head.headers)) == (method, fields)
    assert head.headers["tus-resumable"] == "1.0.0"
