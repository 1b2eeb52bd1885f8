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


def snippet(language: str, endpoint: Endpoint, protocol: str = "") -> str:
    """Return the README's one block of *language* that names *protocol*, for this server."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if protocol in block)
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
    script = snippet("sh", endpoint, "Tus-Resumable") + 'echo "$location" > location.txt\n'
    printed = run(["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert "upload-offset: 11\n" in printed.lower().replace("\r", "")
    assert_stored(endpoint, (tmp_path / "location.txt").read_text())


def test_upload_that_is_cut_off_and_goes_on_by_curl_and_the_ietfs_protocol(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    script = snippet("sh", endpoint, "Upload-Draft-Interop-Version")
    script += 'echo "$location" > location.txt; echo "$offset" > offset.txt\n'
    printed = run(["bash", "-eu", "-c", script], tmp_path)  # no pipefail: the first curl is cut off
    assert "upload-complete: ?1\n" in printed.lower().replace("\r", "")
    content = (tmp_path / "numbers.txt").read_bytes()
    assert 0 < int((tmp_path / "offset.txt").read_text()) < len(content)
    location = (tmp_path / "location.txt").read_text().strip()
    assert endpoint.stored(urlsplit(location).path) == content


def test_upload_by_tus_js_client(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    (tmp_path / "upload.mjs").write_text(snippet("js", endpoint))
    (tmp_path / "node_modules").symlink_to(prepared(HERE / "js" / "node_modules"))
    assert_stored(endpoint, run([program("node"), "upload.mjs"], tmp_path))


def test_upload_by_tuspy(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    (tmp_path / "upload.py").write_text(snippet("python", endpoint))
    assert_stored(endpoint, run([sys.executable, "upload.py"], tmp_path))
