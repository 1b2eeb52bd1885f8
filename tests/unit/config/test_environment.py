"""Settings from an environment: defaults, blanks, what is refused, and the message of a refusal."""

from __future__ import annotations

import dataclasses

import pytest

from fileloft_fast.config import (
    ROWS,
    AckMode,
    LockMode,
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
    "FILELOFT_UNIX_SOCKET_OWNER": "a b",
    "FILELOFT_TRUSTED_PROXIES": "10.0.0.1/8",
    "NOTIFY_SOCKET": "relative",
    "FILELOFT_BASE_PATH": "/a b/",
    "FILELOFT_BASE_URL": "example.org",
    "FILELOFT_CORS_ALLOW_ORIGIN": "example.org",
    "FILELOFT_CORS_ALLOW_HEADERS": "a b",
    "FILELOFT_CORS_EXPOSE_HEADERS": "a:b",
    "FILELOFT_HOOKS_FORWARD_HEADERS": "a b",
    "FILELOFT_S3_BUCKET": "a b",
    "FILELOFT_S3_FRONT_ACCESS_KEY": "a b",
    "FILELOFT_S3_PREFIX": "../up",
    "FILELOFT_S3_ENDPOINT": "minio:9000",
    "FILELOFT_S3_REGION": "eu central",
    "FILELOFT_GCS_BUCKET": "a b",
    "FILELOFT_GCS_PREFIX": "/up",
    "FILELOFT_GCS_ENDPOINT": "http://a b",
    "STORAGE_EMULATOR_HOST": "ftp://a",
    "FILELOFT_AZURE_CONTAINER": "a b",
    "FILELOFT_AZURE_PREFIX": "a b",
    "FILELOFT_AZURE_ACCOUNT": "a b",
    "FILELOFT_SYNC": "often",
    "FILELOFT_FILE_MODE": "0999",
    "FILELOFT_LOG": "loud",
    "FILELOFT_JWT_JWKS": "http://keys.example/jwks.json",
    "FILELOFT_JWT_AUDIENCE": "a b",
    "FILELOFT_JWT_ISSUER": "a b",
    "FILELOFT_JWT_SUBJECT": "a b",
    "FILELOFT_STORAGES": "public=ftp://files",
}
NOT_YET = ["FILELOFT_ENABLE_H2C"]
NOTHING_IS_WRONG = {
    "FILELOFT_DATA_DIR",
    "FILELOFT_STORAGES_FILE",
    "FILELOFT_AZURE_CONNECTION_STRING",
    "FILELOFT_TLS_CERT",
    "FILELOFT_TLS_KEY",
    "FILELOFT_TLS_CLIENT_CA",
    "FILELOFT_HOOKS_DIR",
    "FILELOFT_HOOK_SECRET",
}
S3 = {"FILELOFT_S3_BUCKET": "b"}


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
        assert ROWS[name].parse("any thing") == "any thing"
        return
    text = WRONG.get(variable, "banana")
    with pytest.raises(ConfigError, match=f"^{variable}: ") as caught:
        read_settings({variable: text})
    assert (text in str(caught.value)) is not ROWS[name].secret
    assert "\n" not in str(caught.value)


def test_all_problems_are_found_at_once() -> None:
    found = problems({"FILELOFT_BIND": "x", "FILELOFT_SYNC": "x", "FILELOFT_TLS_MODE": "x"})
    assert {str(problem).partition(":")[0] for problem in found} == {
        "FILELOFT_BIND",
        "FILELOFT_SYNC",
        "FILELOFT_TLS_MODE",
    }


@pytest.mark.parametrize("variable", NOT_YET)
def test_what_this_version_cannot_do_stops_the_start(variable: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: .* this version"):
        read_settings({variable: "1"})


def test_a_switch_that_is_off_is_not_asked_for() -> None:
    assert read_settings({"FILELOFT_ENABLE_H2C": "0"}) == Settings()


def test_a_backend_by_name_wins_over_a_bucket() -> None:
    assert read_settings({"FILELOFT_BACKEND": "fs", "FILELOFT_S3_BUCKET": "b"}).backend == "fs"


@pytest.mark.parametrize(
    ("bucket", "backend"),
    [
        ("FILELOFT_S3_BUCKET", "s3"),
        ("FILELOFT_GCS_BUCKET", "gcs"),
        ("FILELOFT_AZURE_CONTAINER", "azure"),
    ],
)
def test_an_unset_backend_follows_from_the_bucket(bucket: str, backend: str) -> None:
    env = {bucket: "b", "AZURE_STORAGE_ACCOUNT": "account"}
    assert read_settings(env).backend == backend
    assert readings(env)["backend"].source == bucket
    with pytest.raises(ConfigError, match=f"^{bucket}: .* FILELOFT_BACKEND={backend}$"):
        read_settings({"FILELOFT_BACKEND": backend, "AZURE_STORAGE_ACCOUNT": "account"})


def test_two_buckets_need_a_backend_by_name() -> None:
    two = {**S3, "FILELOFT_GCS_BUCKET": "c"}
    with pytest.raises(ConfigError, match=r"^FILELOFT_BACKEND: .*S3_BUCKET and FILELOFT_GCS_B"):
        read_settings(two)
    assert read_settings({**two, "FILELOFT_BACKEND": "gcs"}).backend == "gcs"


def test_the_prefix_is_that_of_the_backend_as_it_was_written() -> None:
    both = {**S3, "FILELOFT_S3_PREFIX": "up/", "FILELOFT_GCS_PREFIX": "g-"}
    assert read_settings(both).prefix == "up/"
    assert read_settings({**both, "FILELOFT_BACKEND": "fs"}).prefix == ""


def test_azure_needs_an_account_by_one_way_or_another() -> None:
    azure = {"FILELOFT_AZURE_CONTAINER": "c"}
    with pytest.raises(ConfigError, match=r"^FILELOFT_AZURE_ACCOUNT: "):
        read_settings(azure)
    for way in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"):
        assert read_settings({**azure, way: "x"}).backend == "azure"
        ours = f"FILELOFT_{way.replace('_STORAGE', '')}"
        assert read_settings({**azure, ours: "x"}).backend == "azure"


@pytest.mark.parametrize(
    ("asked", "variable"),
    [
        ({"FILELOFT_ACK": "chunk"}, "FILELOFT_ACK"),
        ({"FILELOFT_LOCK": "store"}, "FILELOFT_LOCK"),
        ({"FILELOFT_FLUSH_ZSTD": "3"}, "FILELOFT_FLUSH_ZSTD"),
        ({"FILELOFT_DOWNLOAD_REDIRECT": "1"}, "FILELOFT_DOWNLOAD_REDIRECT"),
    ],
)
def test_what_only_an_object_store_can_is_refused_on_a_disk(
    asked: dict[str, str], variable: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: .*needs an object store"):
        read_settings(asked)
    assert read_settings({**S3, **asked}).remote


@pytest.mark.parametrize(("lock", "least"), [("redis", "1"), ("store", "6")])
def test_a_lease_has_time_to_be_renewed(lock: str, least: str) -> None:
    env = {**S3, "FILELOFT_LOCK": lock, "FILELOFT_LOCK_TTL": least}
    assert read_settings(env).lock_ttl_s == int(least)
    with pytest.raises(ConfigError, match=f"^FILELOFT_LOCK_TTL: .* {least} with FILELOFT_LOCK="):
        read_settings({**env, "FILELOFT_LOCK_TTL": "0.9"})


def test_chunks_are_not_acknowledged_compressed() -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_FLUSH_ZSTD: not with FILELOFT_ACK=chunk$"):
        read_settings({**S3, "FILELOFT_FLUSH_ZSTD": "1", "FILELOFT_ACK": "chunk"})


def test_the_defaults_of_the_object_stores() -> None:
    settings = read_settings(S3)
    assert (settings.ack, settings.lock) == (AckMode.FINISH, LockMode.LOCAL)
    assert settings.part_size_bytes == 16 * 2**20
    assert (settings.spool_max_bytes, settings.flush_rate_bytes_per_s) == (0, 0)
    assert (settings.flush_concurrency, settings.flush_timeout_s) == (4, 60)
    assert (settings.flush_zstd_level, settings.download_redirect) == (0, False)
    assert (settings.redirect_ttl_s, settings.lock_ttl_s) == (3600, 10)
    assert (settings.orphan_age_s, settings.remote_sweep_interval_s) == (3600, 3600)
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.s3_checksum
    assert not settings.s3_force_path_style


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
    assert unknown_variables(env) == ["FILELOFT_BINDD"]
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
