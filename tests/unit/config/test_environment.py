"""Settings from an environment: defaults, blanks, what is refused, and the message of a refusal."""

from __future__ import annotations

import dataclasses

import pytest

from fileloft_fast.config import (
    ROWS,
    Settings,
    SyncMode,
    problems,
    read_settings,
    readings,
    unknown_variables,
)
from fileloft_fast.errors import ConfigError
from fileloft_fast.model import Capability

WRONG = {
    "FILELOFT_BIND": "8080",
    "FILELOFT_UNIX_SOCKET": "/" + "x" * 200,
    "FILELOFT_BASE_PATH": "/a b/",
    "FILELOFT_BASE_URL": "example.org",
    "FILELOFT_CORS_ALLOW_ORIGIN": "example.org",
    "FILELOFT_CORS_ALLOW_HEADERS": "a b",
    "FILELOFT_CORS_EXPOSE_HEADERS": "a:b",
    "FILELOFT_BACKEND": "s3",
    "FILELOFT_SYNC": "often",
    "FILELOFT_FILE_MODE": "0999",
    "FILELOFT_LOG": "loud",
}
NOT_YET = [
    "FILELOFT_TLS_CERT",
    "FILELOFT_TLS_KEY",
    "FILELOFT_TLS_MODE",
    "FILELOFT_ENABLE_H2C",
    "FILELOFT_S3_BUCKET",
    "FILELOFT_GCS_BUCKET",
    "FILELOFT_AZURE_CONTAINER",
]
NOTHING_IS_WRONG = {"FILELOFT_DATA_DIR"}


def test_an_empty_environment_gives_every_default() -> None:
    assert read_settings({}) == Settings()


def test_blank_is_unset() -> None:
    assert read_settings({row.variable: "  " for row in ROWS.values()}) == Settings()


def test_the_defaults_are_those_of_the_mission() -> None:
    settings = Settings()
    assert [str(address) for address in settings.bind] == ["0.0.0.0:8080"]
    assert settings.base_path == "/files/"
    assert settings.max_size_bytes == 0
    assert (settings.lock_timeout_s, settings.shutdown_timeout_s) == (20, 10)
    assert settings.cors_enabled
    assert settings.cors_allow_origins == ("*",)
    assert settings.cors_max_age_s == 86400
    assert settings.data_dir == "/var/lib/fileloft"
    assert settings.sync is SyncMode.COMPLETE
    assert settings.file_mode == 0o600
    assert settings.log_level == "info"


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_wrong_value_names_its_variable_and_the_text(name: str) -> None:
    variable = ROWS[name].variable
    if variable in NOTHING_IS_WRONG:
        assert ROWS[name].parse is str
        return
    text = WRONG.get(variable, "banana")
    with pytest.raises(ConfigError, match=f"^{variable}: .*{text[:5]}") as caught:
        read_settings({variable: text})
    assert "\n" not in str(caught.value)


def test_all_problems_are_found_at_once() -> None:
    found = problems({"FILELOFT_BIND": "x", "FILELOFT_SYNC": "x", "FILELOFT_TLS_CERT": "/c.pem"})
    assert {str(problem).partition(":")[0] for problem in found} == {
        "FILELOFT_BIND",
        "FILELOFT_SYNC",
        "FILELOFT_TLS_CERT",
    }


@pytest.mark.parametrize("variable", NOT_YET)
def test_what_this_version_cannot_do_stops_the_start(variable: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: .* this version"):
        read_settings({variable: "1"})


def test_a_switch_that_is_off_is_not_asked_for() -> None:
    assert read_settings({"FILELOFT_ENABLE_H2C": "0"}) == Settings()


def test_a_backend_by_name_wins_over_a_bucket() -> None:
    assert read_settings({"FILELOFT_BACKEND": "fs", "FILELOFT_S3_BUCKET": "b"}).backend == "fs"


@pytest.mark.parametrize("origins", [{}, {"FILELOFT_CORS_ALLOW_ORIGIN": "*"}])
def test_any_origin_never_goes_with_credentials(origins: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_CORS_ALLOW_CREDENTIALS: "):
        read_settings({"FILELOFT_CORS_ALLOW_CREDENTIALS": "1", **origins})


def test_credentials_go_with_named_origins() -> None:
    settings = read_settings(
        {"FILELOFT_CORS_ALLOW_CREDENTIALS": "1", "FILELOFT_CORS_ALLOW_ORIGIN": "https://a.example"}
    )
    assert settings.cors_allow_credentials


def test_expiry_needs_a_time() -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_EXPIRATION_TTL: "):
        read_settings({"FILELOFT_ENABLE_EXPIRATION": "1", "FILELOFT_EXPIRATION_TTL": "0"})
    assert read_settings({"FILELOFT_ENABLE_EXPIRATION": "1"}).expiration_ttl_s == 86400


def test_rust_log_is_read_where_our_own_level_is_unset() -> None:
    rust = {"RUST_LOG": "fileloft_server=trace,info"}
    assert read_settings(rust).log_level == "trace"
    assert read_settings({**rust, "FILELOFT_LOG": "warn"}).log_level == "warn"
    assert readings(rust)["log_level"].source == "RUST_LOG"


def test_unknown_variables_are_told_and_do_no_harm() -> None:
    env = {"FILELOFT_BINDD": "x", "FILELOFT_S3_PREFIX": "p", "FILELOFT_EMPTY": "", "PATH": "/bin"}
    assert unknown_variables(env) == ["FILELOFT_BINDD", "FILELOFT_S3_PREFIX"]
    assert problems(env) == []


def test_every_field_is_a_row_and_no_variable_has_two() -> None:
    assert list(ROWS) == [made.name for made in dataclasses.fields(Settings)]
    assert len({row.variable for row in ROWS.values()}) == len(ROWS)


SWITCHED_OFF = {
    "disable_creation": {
        Capability.CREATION,
        Capability.CREATION_WITH_UPLOAD,
        Capability.CREATION_DEFER_LENGTH,
        Capability.CONCATENATION,
    },
    "disable_creation_with_upload": {Capability.CREATION_WITH_UPLOAD},
    "disable_defer_length": {Capability.CREATION_DEFER_LENGTH},
    "disable_checksum": {Capability.CHECKSUM, Capability.CHECKSUM_TRAILER},
    "disable_termination": {Capability.TERMINATION},
}
EVERYTHING_ON = {
    "FILELOFT_ENABLE_CONCATENATION": "1",
    "FILELOFT_ENABLE_EXPIRATION": "1",
    "FILELOFT_ENABLE_DOWNLOAD": "1",
}


@pytest.mark.parametrize("switch", sorted(SWITCHED_OFF))
def test_a_switch_takes_away_its_capabilities_and_those_that_need_them(switch: str) -> None:
    assert read_settings(EVERYTHING_ON).capabilities() == frozenset(Capability)
    less = read_settings({**EVERYTHING_ON, ROWS[switch].variable: "1"})
    assert less.capabilities() == frozenset(Capability) - SWITCHED_OFF[switch]


def test_what_is_off_by_default_is_not_offered() -> None:
    assert frozenset(Capability) - Settings().capabilities() == {
        Capability.CONCATENATION,
        Capability.DOWNLOAD,
        Capability.EXPIRATION,
    }
