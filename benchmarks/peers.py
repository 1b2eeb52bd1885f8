"""The processes that are measured: ours, the C limits and nginx; and what they cost."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from fileloft_fast.bench.process import cpu_s
from tests.ports import free_port
from tests.server import Server, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.certificates import Pair

LIMIT: Final = Path("build/limit")

_NGINX: Final = """
worker_processes 1;
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/bodies;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    server {{ listen 127.0.0.1:{port}{tls}; location / {{ root {files}; dav_methods PUT; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server: where it listens and which process it is."""

    address: tuple[str, int]
    pid: int

    @property
    def url(self) -> str:
        """The URL at which uploads are created, where it is a tus server's usual one."""
        host, port = self.address
        return f"http://{host}:{port}/files/"

    def cpu_s(self) -> float:
        """Return the CPU time that it and its children have used."""
        return sum(map(cpu_s, (self.pid, *workers_of(self.pid))))

    def peak_bytes(self) -> int:
        """Return the most memory that it has had resident."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        matched = re.search(r"VmHWM:\s+(\d+) kB", status)
        if matched is None:
            raise RuntimeError("no VmHWM: not a Linux process")
        return int(matched[1]) * 1024


@dataclass(slots=True)
class Meter:
    """CPU time of a peer between entering and leaving."""

    peer: Peer
    cpu_s: float = 0.0

    def __enter__(self) -> Self:
        self.cpu_s = -self.peer.cpu_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s += self.peer.cpu_s()


def begun_in(tree: Path | None) -> tuple[str, ...]:
    """Return what starts a command line in the work tree *tree*: Python imports from there."""
    return () if tree is None else ("/usr/bin/env", "-C", str(tree.resolve()))


@contextmanager
def ours(data: Path, settings: Mapping[str, str], tree: Path | None = None) -> Iterator[Peer]:
    """Run our server on the directory *data*; that of another work tree where *tree* is given."""
    server = Server(data, settings, wrapper=begun_in(tree))
    try:
        yield Peer(server.address, server.pid)
    finally:
        server.stop()


@contextmanager
def limit(mode: str, data: Path) -> Iterator[Peer]:
    """Run the limit server in *mode*, splice or sha1."""
    words = [str(LIMIT / "receive"), mode, str(data)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            if process.stdout is None:
                raise RuntimeError("no pipe")
            yield Peer(("127.0.0.1", int(process.stdout.readline())), process.pid)
        finally:
            process.kill()


@contextmanager
def nginx(files: Path, folder: Path, pair: Pair | None = None) -> Iterator[Peer]:
    """Run nginx, which serves the directory *files* and takes PUT; under TLS with *pair*."""
    program = find_nginx()
    if program is None:
        raise RuntimeError("nginx is missing: install nginx-light")
    port = free_port()
    config = folder / "nginx.conf"
    tls = (
        f" ssl; ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key}" if pair else ""
    )
    config.write_text(
        _NGINX.format(folder=folder, files=files, port=port, tls=tls), encoding="ascii"
    )
    words = [program, "-c", str(config), "-p", str(folder)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            _wait_for_worker(process.pid)
            yield Peer(("127.0.0.1", port), process.pid)
        finally:
            process.terminate()


def find_nginx() -> str | None:
    """Return the path of nginx, which is not on every user's PATH."""
    return shutil.which("nginx", path=os.defpath + ":/usr/sbin:/usr/local/sbin")


def report(*words: object) -> dict[str, Any]:
    """Run a program that prints one JSON line, and return it."""
    ended = subprocess.run(  # noqa: S603
        [str(word) for word in words], stdout=subprocess.PIPE, text=True, check=True
    )
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def build() -> None:
    """Compile the C programs; one process at a time."""
    words = ["make", "--quiet", "-f", "benchmarks/limit/limit.mk"]
    LIMIT.mkdir(parents=True, exist_ok=True)
    with (LIMIT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(words, check=True)  # noqa: S603


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system does."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def say(line: str) -> None:
    """Print a line now."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _wait_for_worker(pid: int) -> None:
    end = time.monotonic() + 60
    while not workers_of(pid):
        if time.monotonic() > end:
            raise RuntimeError("nginx did not start: see error.log beside its configuration")
        time.sleep(0.02)
