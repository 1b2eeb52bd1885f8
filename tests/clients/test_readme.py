"""The README's uploads, word for word but for the server's address."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import HERE, prepared, program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoint import Endpoint

README: Final = HERE.parents[1] / "README.md"
HELLO: Final = b"hello, tus\n"

pytestmark = pytest.mark.e2e


def snippet(language: str, endpoint: Endpoint) -> str:
    """Return the README's one block of *language*, for the server that runs."""
    (block,) = re.findall(
        rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL
    )
    host, port = endpoint.server.address
    assert "127.0.0.1:8080" in block
    return str(block.replace("127.0.0.1:8080", f"{host}:{port}"))


def run(words: list[str], directory: Path) -> str:
    """Run the command in *directory* and return what it prints."""
    done = subprocess.run(
        words, cwd=directory, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_stored(endpoint: Endpoint, location: str) -> None:
    """Assert that the upload at *location* is the README's file."""
    assert endpoint.stored(urlsplit(location.strip()).path) == HELLO


def test_upload_by_curl(endpoint: Endpoint, tmp_path: Path) -> None:
    script = snippet("sh", endpoint) + 'echo "$location" > location.txt\n'
    printed = run(["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert "upload-offset: 11\n" in printed.lower().replace("\r", "")
    assert_stored(endpoint, (tmp_path / "location.txt").read_text())


def test_upload_by_tus_js_client(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    (tmp_path / "upload.mjs").write_text(snippet("js", endpoint))
    (tmp_path / "node_modules").symlink_to(prepared(HERE / "js" / "node_modules"))
    assert_stored(endpoint, run([program("node"), "upload.mjs"], tmp_path))


def test_upload_by_tuspy(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    (tmp_path / "upload.py").write_text(snippet("python", endpoint))
    assert_stored(endpoint, run([sys.executable, "upload.py"], tmp_path))
