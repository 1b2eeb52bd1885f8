"""Dead letters: events that a hook could not be told of, as files for somebody to look at."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from fileloft_fast.hooks.outbox.page import Item

FOLDER: Final = "dead-letters"


def write_letter(directory: str, item: Item, sink: str, why: str) -> None:
    """Put *item* into the folder, durable on return. Blocks. Raises OSError."""
    folder = f"{directory}/{FOLDER}"
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - one call
    contents = {
        "hook": sink,
        "event": item.event.value,
        "idempotency_key": item.key,
        "upload": item.upload,
        "at": item.at,
        "given_up_at": time.time(),
        "error": why,
        "request": msgspec.Raw(item.body.encode()),
    }
    mark = hashlib.sha256(sink.encode()).hexdigest()[:8]
    path = f"{folder}/{item.key}-{mark}.json"
    text = msgspec.json.format(msgspec.json.encode(contents), indent=1)
    descriptor = os.open(f"{path}.tmp", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text + b"\n")
        file.flush()
        os.fsync(descriptor)
    os.replace(f"{path}.tmp", path)  # noqa: PTH105 - the same
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
