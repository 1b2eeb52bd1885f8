"""The commands that upload the sample with each real client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.clients.conftest import BUILT, HERE, Sample, prepared, program

Client = Callable[[str, Sample, Path], list[str]]
"""Returns the command that uploads the sample to a URL; the path is for what it must remember."""


def tuspy(*modes: str) -> Client:
    return lambda to, sample, kept: [
        sys.executable, str(HERE / "tuspy_upload.py"), to, str(sample.path), str(kept), *modes,
    ]  # fmt: skip


def aiotus(*modes: str) -> Client:
    return lambda to, sample, _: [
        sys.executable, str(HERE / "aiotus_upload.py"), to, str(sample.path), *modes,
    ]  # fmt: skip


def tus_js_client(*modes: str) -> Client:
    def words(to: str, sample: Sample, kept: Path) -> list[str]:
        prepared(HERE / "js" / "node_modules" / "tus-js-client")
        script = str(HERE / "js" / "upload.mjs")
        return [program("node"), script, to, str(sample.path), str(kept), *modes]

    return words


def tusgo(mode: str) -> Client:
    return lambda to, sample, _: [prepared(BUILT / "tusgo"), mode, to, str(sample.path)]


def tus_java_client() -> Client:
    def words(to: str, sample: Sample, _: Path) -> list[str]:
        jar = prepared(BUILT / "tus-java-client-0.5.1.jar")
        script = str(HERE / "java" / "Upload.java")
        return [program("java"), "-cp", jar, script, to, str(sample.path)]

    return words
