"""From the text of a variable to its value; a ValueError says what the text must be instead."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

LOG_LEVELS: Final = ("trace", "debug", "info", "warn", "error", "off")
_LARGEST_FILE: Final = 2**63 - 1
_SMALLEST_PART: Final = 64 * 2**10
_LARGEST_PART: Final = 4 * 2**30
_LONGEST_PREFIX: Final = 500  # keys have 1,024 bytes everywhere: the prefix, an id, an ending
_LARGEST_LEVEL: Final = 19
_MOST_WORKERS: Final = 64
_WEEK_S: Final = 7 * 24 * 3600
_UNIT_BYTES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?")
_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~!$&'()*+,;=:@-]+")
_PRINTABLE: Final = re.compile(r"[!-~]+")


class SyncMode(StrEnum):
    """When bytes that arrived are made to survive a power cut."""

    NONE = "none"
    COMPLETE = "complete"
    CHUNK = "chunk"


class AckMode(StrEnum):
    """What an answer waits for where an object store keeps the uploads."""

    FINISH = "finish"
    SPOOL = "spool"
    CHUNK = "chunk"


class LockMode(StrEnum):
    """Who is kept from one upload while another works on it."""

    LOCAL = "local"
    REDIS = "redis"
    STORE = "store"


class TlsMode(StrEnum):
    """What a TLS client must be able to speak."""

    TLS12 = "tls12"
    TLS13 = "tls13"
    TLS12_STRONG = "tls12-strong"


class LogFormat(StrEnum):
    """How lines of the log are written."""

    PLAIN = "plain"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class BindAddress:
    """One address to listen on; *host* is a name, an IPv4 or a bare IPv6 address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class FileMode(int):
    """Permissions of a file; reads as octal."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{int(self):04o}"


def parse_flag(text: str) -> bool:
    """Parse an on/off switch: 1 or true, 0 or false, in any case."""
    wanted = text.lower()
    if wanted not in {"1", "true", "0", "false"}:
        raise ValueError("must be 1 or true, 0 or false")
    return wanted in {"1", "true"}


def parse_size(text: str) -> int:
    """Parse a number of bytes, plain or with a binary suffix: 1048576, 512K, 64M, 10G."""
    match = re.fullmatch(r"([0-9]{1,19}) ?([KMGT]?)(?:iB)?", text)
    if match is None:
        raise ValueError("must be bytes, such as 1048576, 512K, 64M or 10G")
    size = int(match[1]) * _UNIT_BYTES[match[2]]
    if size > _LARGEST_FILE:
        raise ValueError("is larger than a file can be")
    return size


def parse_bind(text: str) -> tuple[BindAddress, ...]:
    """Parse a comma list of host:port, with IPv6 addresses in brackets."""
    return tuple(_parse_address(part.strip()) for part in text.split(","))


def _parse_address(text: str) -> BindAddress:
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be host:port, such as 0.0.0.0:8080, localhost:8080 or [::]:8080")
    if host.startswith("[") and host.endswith("]"):
        return BindAddress(str(ipaddress.IPv6Address(host[1:-1])), int(port))
    if not _HOST.fullmatch(host):
        raise ValueError("needs a host name or address before the port; IPv6 goes in brackets")
    return BindAddress(host, int(port))


def parse_base_path(text: str) -> str:
    """Parse the path that uploads live under; the result begins and ends with a slash."""
    inner = text.strip("/")
    if inner and not all(_SEGMENT.fullmatch(segment) for segment in inner.split("/")):
        raise ValueError("must be a URL path, such as /files/ or /")
    return f"/{inner}/" if inner else "/"


def parse_base_url(text: str) -> str:
    """Parse a public http or https URL; a trailing slash is dropped."""
    url = urlsplit(text)
    plain = _PRINTABLE.fullmatch(text) and not (url.query or url.fragment or url.username)
    if not plain or url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("must be an http or https URL without a query")
    return text.rstrip("/")


def parse_origins(text: str) -> tuple[str, ...]:
    """Parse ``*`` or a comma list of origins, each scheme://host[:port]."""
    origins = tuple(part.strip().rstrip("/") for part in text.split(","))
    if origins == ("*",):
        return origins
    for origin in origins:
        url = urlsplit(origin)
        if not _PRINTABLE.fullmatch(origin) or not url.hostname or url.path or url.query:
            raise ValueError("must be * or origins such as https://app.example.org")
    return origins


def parse_field_names(text: str) -> str:
    """Parse a comma list of header field names; white space is dropped."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not all(_TOKEN.fullmatch(name) for name in names):
        raise ValueError("must be a comma list of header names")
    return ",".join(names)


def parse_file_mode(text: str) -> FileMode:
    """Parse octal permissions that let the owner read and write."""
    if not re.fullmatch(r"0?[0-7]{3}", text) or int(text, 8) & 0o600 != 0o600:
        raise ValueError("must be octal and let the owner read and write, such as 0600 or 0640")
    return FileMode(text, 8)


def parse_log_level(text: str) -> str:
    """Parse a level, or take the first level that a tracing filter names."""
    for word in re.split(r"[=,\s]+", text.lower()):
        if word in LOG_LEVELS:
            return word
    raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")


def parse_backend(text: str) -> str:
    """Parse the name of a backend."""
    if text not in {"fs", "s3", "gcs", "azure"}:
        raise ValueError("must be fs, s3, gcs or azure")
    return text


def parse_sync(text: str) -> SyncMode:
    """Parse a sync mode."""
    return parse_word(SyncMode, text)


def parse_ack(text: str) -> AckMode:
    """Parse an acknowledgement mode."""
    return parse_word(AckMode, text)


def parse_lock(text: str) -> LockMode:
    """Parse a kind of lock."""
    return parse_word(LockMode, text)


def parse_tls_mode(text: str) -> TlsMode:
    """Parse a TLS mode."""
    return parse_word(TlsMode, text)


def parse_log_format(text: str) -> LogFormat:
    """Parse a format of the log."""
    return parse_word(LogFormat, text)


def parse_word(words: type[W], text: str) -> W:
    """Parse one of *words*."""
    try:
        return words(text)
    except ValueError:
        *others, last = words
        raise ValueError(f"must be {', '.join(others)} or {last}") from None


def parse_name(text: str) -> str:
    """Parse the name of a bucket, a region or an account; the store knows which there can be."""
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("must be a name without spaces")
    return text


def parse_prefix(text: str) -> str:
    """Parse what keys begin with: taken as it is, the slash included or not."""
    if text and not (_PRINTABLE.fullmatch(text) and len(text) <= _LONGEST_PREFIX):
        raise ValueError(f"must be at most {_LONGEST_PREFIX} plain characters, such as uploads/")
    if text.startswith("/") or set(text.split("/")) & {".", ".."}:
        raise ValueError("must not begin with a slash or hold . or .. as a name")
    return text


def parse_endpoint(text: str) -> str:
    """Parse the URL of a service."""
    return parse_base_url(text)


def parse_emulator(text: str) -> str:
    """Parse the URL of a service; host and port alone mean http, as Google's libraries take it."""
    return parse_base_url(text if "://" in text else f"http://{text}")


def parse_redis_url(text: str) -> str:
    """Parse the URL of a Redis, TLS and Unix sockets included."""
    if not _PRINTABLE.fullmatch(text) or urlsplit(text).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must be a URL such as redis://127.0.0.1:6379/0")
    return text


def parse_part_size(text: str) -> int:
    """Parse the size of a part."""
    size = parse_size(text)
    if not _SMALLEST_PART <= size <= _LARGEST_PART:
        raise ValueError("must be from 64K to 4G")
    return size


def parse_level(text: str) -> int:
    """Parse a level of compression; 0 is none."""
    level = parse_count(text)
    if level > _LARGEST_LEVEL:
        raise ValueError(f"must be from 0 to {_LARGEST_LEVEL}")
    return level


def parse_signed_seconds(text: str) -> int:
    """Parse for how long a signature is to hold."""
    seconds = parse_positive_count(text)
    if seconds > _WEEK_S:  # what SigV4 and Google's V4 signatures allow
        raise ValueError(f"must be at most {_WEEK_S}, a week")
    return seconds


def parse_socket_path(text: str) -> str:
    """Parse the path of a Unix socket."""
    if len(text.encode()) > 107:  # unix(7): sun_path holds 108 bytes with the closing NUL
        raise ValueError("is longer than the 107 bytes that a Unix socket's path may have")
    return text


def parse_socket_mode(text: str) -> FileMode:
    """Parse octal permissions of a socket: who may write to it may connect."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError("must be octal, such as 0660")
    return FileMode(text, 8)


def parse_owner(text: str) -> str:
    """Parse user, user:group or :group; names or numbers."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_.-]+)?|:[A-Za-z0-9_.-]+", text):
        raise ValueError("must be user, user:group or :group")
    return text


def parse_notify_socket(text: str) -> str:
    """Parse where systemd listens: a path, or @ and an abstract name."""
    if text[0] not in "/@":
        raise ValueError("must be a path or @ and an abstract name")
    return text


def parse_count(text: str) -> int:
    """Parse a whole number that is not negative."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError("must be a whole number")
    return int(text)


def parse_positive_count(text: str) -> int:
    """Parse a whole number of at least 1."""
    if parse_count(text) == 0:
        raise ValueError("must be at least 1")
    return int(text)


def parse_workers(text: str) -> int:
    """Parse how many processes are to serve."""
    workers = parse_positive_count(text)
    if workers > _MOST_WORKERS:
        raise ValueError(f"must be from 1 to {_MOST_WORKERS}")
    return workers


def parse_seconds(text: str) -> float:
    """Parse seconds, 0 included, with or without a fraction."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError("must be a number of seconds")
    return value


def parse_positive_seconds(text: str) -> float:
    """Parse more than 0 seconds."""
    if parse_seconds(text) == 0:
        raise ValueError("must be more than 0 seconds")
    return float(text)


def maybe(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return *parse* with None for a blank text."""
    return lambda text: parse(text) if text else None
