"""From the text of a variable of access to its value; see ``values``."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from fileloft_fast.config.values import parse_base_url, parse_seconds

LEAST_SECRET_BYTES: Final = 32  # RFC 7518 section 3.2: as long as the digest of HS256
_MOST_LEEWAY_S: Final = 600
_KEY: Final = re.compile(r"[!-~]+")
_CLAIM: Final = re.compile(r"[!-~]{1,200}")


class AuthMode(StrEnum):
    """Who vouches for a request."""

    JWT = "jwt"
    GRANT = "grant"
    CERTIFICATE = "certificate"


def parse_auth(text: str) -> tuple[AuthMode, ...]:
    """Parse a comma list of those who may vouch; none is no access control."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not set(words) <= set(AuthMode):
        raise ValueError(f"must be of {', '.join(AuthMode)}, separated by commas")
    return tuple(mode for mode in AuthMode if mode in words)


def parse_secrets(text: str) -> tuple[str, ...]:
    """Parse a comma list of secrets, of which the first one signs and each one verifies."""
    secrets = tuple(word.strip() for word in text.split(",") if word.strip())
    if any(len(secret.encode()) < LEAST_SECRET_BYTES for secret in secrets):
        raise ValueError(f"each secret must have at least {LEAST_SECRET_BYTES} bytes")
    return secrets


def parse_keys(text: str) -> tuple[str, ...]:
    """Parse a comma list of secrets that travel as they are, in a field of the head."""
    keys = parse_secrets(text)
    if not all(_KEY.fullmatch(key) for key in keys):
        raise ValueError("each key must be visible ASCII, without spaces")
    return keys


def parse_key_source(text: str) -> str:
    """Parse where a JWKS is: a path, or a URL that TLS protects; plain http on this host only."""
    if "://" not in text:
        return text
    parts = urlsplit(parse_base_url(text.partition("?")[0]))
    if parts.scheme == "https" or _is_here(parts.hostname or ""):
        return text
    raise ValueError("must be a file or an https URL")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_words(text: str) -> tuple[str, ...]:
    """Parse a comma list of values that a claim may have."""
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not all(_CLAIM.fullmatch(word) for word in words):
        raise ValueError("must be words without spaces, separated by commas")
    return words


def parse_claim(text: str) -> str:
    """Parse the name of a claim."""
    if not _CLAIM.fullmatch(text):
        raise ValueError("must be the name of a claim, such as sub")
    return text


def parse_leeway(text: str) -> float:
    """Parse by how much clocks may differ."""
    seconds = parse_seconds(text)
    if seconds > _MOST_LEEWAY_S:
        raise ValueError(f"must be at most {_MOST_LEEWAY_S} seconds")
    return seconds


def parse_rate(text: str) -> float:
    """Parse how often a second something may happen; 0 is no limit."""
    try:
        return parse_seconds(text)
    except ValueError:
        raise ValueError("must be a number, such as 0.5 or 20") from None
