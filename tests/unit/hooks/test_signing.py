"""The signature, checked by what the guide tells users to write."""

from __future__ import annotations

import re
import time
from pathlib import Path

from fileloft_fast.hooks.signing import render_signature

GUIDE = Path(__file__).parents[3] / "docs/guide/hooks.md"


def test_the_guides_code_knows_our_signature_from_others() -> None:
    (code,) = re.findall(r"```python\n(import hashlib.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(GUIDE), "exec"), names)
    is_ours = names["is_ours"]
    assert callable(is_ours)
    now = int(time.time())
    signature = render_signature(b"secret", b"body", now)
    assert is_ours(b"secret", b"body", signature)
    assert not is_ours(b"other", b"body", signature)
    assert not is_ours(b"secret", b"bodY", signature)
    assert not is_ours(b"secret", b"body", render_signature(b"secret", b"body", now - 1000))
    assert not is_ours(b"secret", b"body", signature.replace(str(now), str(now + 1)))
