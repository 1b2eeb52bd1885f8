"""Real clients: what they need on this machine, the file they send, and the network between."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.proxy import Break, End, Proxy

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.endpoint import Endpoint

HERE: Final = Path(__file__).parent
BUILT: Final = HERE.parent.parent / "build" / "clients"
MIB: Final = 1024 * 1024
SAMPLE_BYTES: Final = 52 * MIB + 4321

ROUGH: Final = (
    Break(at=5 * MIB, end=End.RESET),
    Break(at=19 * MIB, end=End.CLOSE),
    Break(at=30 * MIB, end=End.RESET, answer=True),
    Break(at=41 * MIB, end=End.RESET),
)
"""Connections that end in the middle of a request, and one whose answer never comes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The file that every client sends."""

    path: Path
    sha256: str


def make_sample(folder: Path) -> Sample:
    """Write the sample into *folder*."""
    content = random.Random("sample").randbytes(SAMPLE_BYTES)
    path = folder / "sample.bin"
    path.write_bytes(content)
    return Sample(path, hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def endpoint(fleet: Fleet) -> Endpoint:
    return fleet.endpoint(ENABLE_CONCATENATION="1")


@pytest.fixture
def rough(endpoint: Endpoint) -> Iterator[Proxy]:
    """Return a way to the server on which the first connections break."""
    with ExitStack() as stack:
        yield stack.enter_context(Proxy(endpoint.server.address, breaks=ROUGH))


def url(proxy: Proxy) -> str:
    """Return the creation URL through *proxy*."""
    host, port = proxy.address
    return f"http://{host}:{port}/files/"


def program(name: str) -> str:
    """Return the path of a program that a client needs, or fail saying how to get it."""
    found = shutil.which(name)
    assert found, f"{name} is missing: make setup installs it"
    return found


def prepared(path: Path) -> str:
    """Return *path*, which tests/clients/prepare makes, or fail saying so."""
    assert path.exists(), f"{path} is missing: run tests/clients/prepare"
    return str(path)


def assert_arrived(endpoint: Endpoint, location: str, sample: Sample) -> None:
    """Assert that the upload at *location* is complete and equal to the sample, byte for byte."""
    upload = urlsplit(location).path
    assert endpoint.offset(upload) == SAMPLE_BYTES
    assert hashlib.sha256(endpoint.stored(upload)).hexdigest() == sample.sha256
