"""Server and store are killed in the middle: what was promised is there after the next start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.stores.clouds import S3Cloud
from tests.stores.crash import run_round

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Cloud]:
    with S3Cloud(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.mark.parametrize("mode", ["finish", "spool", "chunk"])
@pytest.mark.parametrize("victim", ["server", "store"])
def test_what_was_acknowledged_survives_a_kill(
    mode: str, victim: str, cloud: S3Cloud, tmp_path: Path
) -> None:
    seen = run_round(tmp_path / "spool", cloud, mode, victim, f"{mode} {victim}", clients=7)
    assert not seen.faults, "\n".join(seen.faults)
    assert seen.uploads, "nothing was uploaded"
    assert seen.acknowledged_bytes, "nothing was acknowledged"
