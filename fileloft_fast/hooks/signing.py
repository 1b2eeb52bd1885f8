"""The signature of an HTTP hook: who knows the secret can tell that we sent it, and when."""

from __future__ import annotations

import hashlib
import hmac


def render_signature(secret: bytes, body: bytes, at_s: int) -> str:
    """Return ``t=<seconds>,v1=<hex>``: HMAC-SHA256 over the time, a full stop and the body."""
    signed = b"%d.%b" % (at_s, body)
    return f"t={at_s},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"
