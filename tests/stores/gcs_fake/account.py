"""The one service account that the fake knows: its key, and the file that Google would give out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.stores.gcs_fake.identity import EMAIL

if TYPE_CHECKING:
    from pathlib import Path


def write_key(path: Path) -> Path:
    """Make a key, for a fake's option ``key``; return *path*."""
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def write_account(path: Path, key: Path, url: str) -> Path:
    """Make the credentials file of *key*, whose tokens come from the fake at *url*."""
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": key.read_text(),
        "client_email": EMAIL,
        "token_uri": f"{url}/token",
    }
    path.write_text(json.dumps(account))
    return path


@contextmanager
def google_environment(home: Path, **variables: str) -> Iterator[None]:
    """Let nothing of this machine's be found but what *variables* name."""
    ours = {"HOME": str(home), "CLOUDSDK_CONFIG": str(home)}
    with mock.patch.dict("os.environ", {**ours, **variables}, clear=True):
        yield
