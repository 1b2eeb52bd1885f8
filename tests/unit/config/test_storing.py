"""Settings of the S3 front: what opens it, and what does not go together."""

from __future__ import annotations

import pytest

from fileloft_fast.config import read_settings
from fileloft_fast.errors import ConfigError

STORAGES = {"FILELOFT_STORAGES": "public", "FILELOFT_STORAGE_KEYS": "x" * 32}
KEYS = {
    "FILELOFT_S3_FRONT_ACCESS_KEY": "AKFRONT",
    "FILELOFT_S3_FRONT_SECRET_KEY": "not-for-all",
}


def test_the_s3_front_is_open_where_both_keys_are_set() -> None:
    settings = read_settings({**STORAGES, **KEYS})
    assert (settings.s3_front_access_key, settings.s3_front_secret_key) == tuple(KEYS.values())
    assert read_settings(STORAGES).s3_front_access_key == ""


@pytest.mark.parametrize("only", KEYS)
def test_one_of_its_keys_alone_is_none(only: str) -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_S3_FRONT_ACCESS_KEY: goes together with"):
        read_settings({**STORAGES, only: KEYS[only]})


def test_it_needs_storages() -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_S3_FRONT_ACCESS_KEY: set FILELOFT_STORAGES "):
        read_settings(KEYS)
