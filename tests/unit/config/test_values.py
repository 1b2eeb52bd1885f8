"""Each parser: what it takes, and that everything else is refused with what it should have been."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.config import BindAddress, hook_values, values

if TYPE_CHECKING:
    from collections.abc import Callable

TAKEN: list[tuple[Callable[[str], object], str, object]] = [
    (values.parse_flag, "1", True),
    (values.parse_flag, "TRUE", True),
    (values.parse_flag, "0", False),
    (values.parse_flag, "False", False),
    (values.parse_size, "0", 0),
    (values.parse_size, "1048576", 1048576),
    (values.parse_size, "512K", 512 * 1024),
    (values.parse_size, "64M", 64 * 1024**2),
    (values.parse_size, "10G", 10 * 1024**3),
    (values.parse_size, "1T", 1024**4),
    (values.parse_size, "64MiB", 64 * 1024**2),
    (values.parse_size, "9223372036854775807", 2**63 - 1),
    (values.parse_bind, "0.0.0.0:8080", (BindAddress("0.0.0.0", 8080),)),
    (values.parse_bind, "[::]:8080", (BindAddress("::", 8080),)),
    (values.parse_bind, "localhost:0", (BindAddress("localhost", 0),)),
    (
        values.parse_bind,
        "127.0.0.1:80, [::1]:80",
        (BindAddress("127.0.0.1", 80), BindAddress("::1", 80)),
    ),
    (values.parse_base_path, "/files/", "/files/"),
    (values.parse_base_path, "files", "/files/"),
    (values.parse_base_path, "/a/b", "/a/b/"),
    (values.parse_base_path, "/", "/"),
    (values.parse_base_url, "https://up.example.org/", "https://up.example.org"),
    (values.parse_base_url, "http://[::1]:8080/x", "http://[::1]:8080/x"),
    (values.parse_origins, "*", ("*",)),
    (
        values.parse_origins,
        "https://a.example, http://b.example:81",
        ("https://a.example", "http://b.example:81"),
    ),
    (values.parse_field_names, "X-One, X-Two ,", "X-One,X-Two"),
    (values.parse_file_mode, "0600", 0o600),
    (values.parse_file_mode, "664", 0o664),
    (values.parse_log_level, "debug", "debug"),
    (values.parse_log_level, "WARN", "warn"),
    (values.parse_log_level, "fileloft_server=trace,info", "trace"),
    (values.parse_backend, "azure", "azure"),
    (values.parse_ack, "spool", "spool"),
    (values.parse_lock, "redis", "redis"),
    (
        values.parse_name,
        "arn:aws:s3:eu-west-1:1:accesspoint/x",
        "arn:aws:s3:eu-west-1:1:accesspoint/x",
    ),
    (values.parse_prefix, "", ""),
    (values.parse_prefix, "a/b-", "a/b-"),
    (values.parse_endpoint, "http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
    (values.parse_emulator, "localhost:9023", "http://localhost:9023"),
    (values.parse_emulator, "https://storage.example/", "https://storage.example"),
    (
        values.parse_redis_url,
        "rediss://:secret@r.example:6380/1",
        "rediss://:secret@r.example:6380/1",
    ),
    (values.parse_part_size, "64K", 65536),
    (values.parse_part_size, "4G", 2**32),
    (values.parse_level, "0", 0),
    (values.parse_level, "19", 19),
    (values.parse_signed_seconds, "604800", 604800),
    (values.parse_sync, "chunk", "chunk"),
    (values.parse_count, "0", 0),
    (values.parse_positive_count, "7", 7),
    (values.parse_seconds, "0", 0.0),
    (values.parse_seconds, "2.5", 2.5),
    (values.parse_positive_seconds, "0.1", 0.1),
]

REFUSED: list[tuple[Callable[[str], object], list[str]]] = [
    (
        hook_values.parse_hook_urls,
        ["http://h:99999/", "http://h:x/", "http://[::1/", "http://h:0/"],
    ),
    (hook_values.parse_hook_urls, ["ftp://h/", "http:///x", "http://h/#f", "http://h/ü"]),
    (values.parse_flag, ["yes", "on", "2", "truee"]),
    (values.parse_size, ["-1", "1.5G", "64MB", "64 MM", "1e6", "٣", "9223372036854775808", "9T9"]),
    (values.parse_bind, ["", "8080", ":8080", "host:", "host:65536", "::1:80", "[x]:80", "a b:1"]),
    (values.parse_bind, ["0.0.0.0:8080,", "http://host:80", "host:-1", "host:٣"]),
    (values.parse_base_path, ["/a//b", "/../", "/./x", "/a?b", "/a#b", "/a b/", "/é/", "/a\r\nb/"]),
    (
        values.parse_base_url,
        ["ftp://x", "example.org", "https://", "https://x/?q=1", "https://x/ y"],
    ),
    (values.parse_base_url, ["https://u:p@x", "https://x/\r\nX: y"]),
    (values.parse_origins, ["", "example.org", "https://a.example/path", "*,https://a.example"]),
    (values.parse_field_names, ["X One", "X:Y", "X\r\nY"]),
    (values.parse_file_mode, ["0400", "600x", "0o600", "7777", "9"]),
    (values.parse_log_level, ["verbose", "fileloft_server"]),
    (values.parse_backend, ["disk", "FS", "s3,gcs"]),
    (values.parse_sync, ["always", "1"]),
    (values.parse_ack, ["Finish", "all"]),
    (values.parse_lock, ["none", "etcd"]),
    (values.parse_name, ["a b", "é", "a\n"]),
    (values.parse_prefix, ["/a", "a/../b", "./a", "a b", "é/", "x" * 501]),
    (values.parse_endpoint, ["localhost:9000", "s3://b", "http://h/?q=1"]),
    (values.parse_emulator, ["s3://b", "http://", "a b"]),
    (values.parse_redis_url, ["127.0.0.1:6379", "http://r.example", "redis://r example"]),
    (values.parse_part_size, ["0", "65535", "5G"]),
    (values.parse_level, ["20", "-1", "fast"]),
    (values.parse_signed_seconds, ["0", "604801", "60.5"]),
    (values.parse_socket_path, ["/run/" + "x" * 103, "/run/" + "é" * 52]),
    (values.parse_count, ["-1", "1.0", "", "1_000"]),
    (values.parse_positive_count, ["0"]),
    (values.parse_seconds, ["-1", "nan", "inf", "10s", ""]),
    (values.parse_positive_seconds, ["0", "0.0"]),
]


@pytest.mark.parametrize(("parse", "text", "value"), TAKEN)
def test_a_value_is_taken(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "text"), [(parse, t) for parse, texts in REFUSED for t in texts])
def test_anything_else_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


def test_an_address_reads_as_it_is_written() -> None:
    assert [str(a) for a in values.parse_bind("[::1]:80,a.example:81")] == [
        "[::1]:80",
        "a.example:81",
    ]


def test_a_file_mode_reads_as_octal() -> None:
    assert str(values.parse_file_mode("640")) == "0640"
