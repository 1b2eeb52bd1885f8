"""Settings of the IETF's protocol and of digests over the whole."""

from __future__ import annotations

import pytest

from fileloft_fast.config import DigestMode, read_settings
from fileloft_fast.errors import ConfigError
from fileloft_fast.model import InterimMode, ResumableMode


def test_drafts_are_spoken_and_nothing_is_hashed_unless_somebody_says_so() -> None:
    settings = read_settings({})
    assert settings.resumable is ResumableMode.DRAFTS
    assert settings.digest is DigestMode.OFF
    assert settings.resumable_interim is InterimMode.AUTO
    limits = (
        settings.resumable_min_size_bytes,
        settings.resumable_max_append_bytes,
        settings.resumable_min_append_bytes,
    )
    assert limits == (0, 0, 0)


@pytest.mark.parametrize("mode", ResumableMode)
def test_each_mode_is_read(mode: ResumableMode) -> None:
    assert read_settings({"FILELOFT_RESUMABLE": mode.value}).resumable is mode


@pytest.mark.parametrize("mode", InterimMode)
def test_who_is_sent_interim_answers_is_read(mode: InterimMode) -> None:
    assert read_settings({"FILELOFT_RESUMABLE_INTERIM": mode.value}).resumable_interim is mode


@pytest.mark.parametrize(
    "env",
    [
        {"FILELOFT_RESUMABLE": "8"},
        {"FILELOFT_RESUMABLE_INTERIM": "1"},
        {"FILELOFT_DIGEST": "md5"},
        {"FILELOFT_RESUMABLE_MIN_SIZE": "-1"},
        {"FILELOFT_RESUMABLE_MIN_SIZE": "2M", "FILELOFT_MAX_SIZE": "1M"},
        {"FILELOFT_RESUMABLE_MIN_APPEND": "2M", "FILELOFT_RESUMABLE_MAX_APPEND": "1M"},
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(env: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=rf"^{next(iter(env))}"):
        read_settings(env)
