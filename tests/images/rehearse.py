"""Build the images without a container engine, and run them: ``python -m tests.images.rehearse``.

The base image is played by Debian trixie from debootstrap, whose python3 is the same 3.13. Each
image is then started with a read-only root, without capabilities and as its own user; it is asked
for its health, given an upload, and told to stop. Wants root, debootstrap and a package index.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

from tests.images.container import Container
from tests.images.dockerfile import ROOT, parse_dockerfile
from tests.images.layers import Builder, Image, mounted, run_in, say
from tests.stores.clouds import CLOUDS, key_of
from tests.stores.seaweedfs import free_ports

BASE: Final = "python:3.13-slim-trixie"
CACHE: Final = ROOT / "build" / "images"
_PACKAGES: Final = "python3,python3-venv,libpython3-dev,ca-certificates"
_WANTED: Final = "fs, s3, gcs or azure for an image; wheel for an sdist and the wheel made of it"
_WHEEL: Final = (
    "pip install --quiet --no-cache-dir build && python -m build --outdir /dist .",
    "python -m venv /srv/venv && /srv/venv/bin/pip install --quiet --no-cache-dir /dist/*.whl",
    "cd /srv && /srv/venv/bin/python try_wheel.py",
)
_BODY: Final = os.urandom(3 << 20)


def main() -> int:
    """Rehearse the images that the arguments name; 0 where all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("subjects", nargs="*", default=["fs", *CLOUDS, "wheel"], help=_WANTED)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.stderr.write("the rehearsal of the images needs root and debootstrap\n")
        return 2
    return rehearse(wanted.subjects) if wanted.inside else _again_inside()


def rehearse(subjects: Sequence[str]) -> int:
    """Build and try each of *subjects*; return 0, or raise what went wrong."""
    bases = {BASE: debian_root()}
    text = (ROOT / "Dockerfile").read_text()
    told = []
    with TemporaryDirectory(dir=CACHE, prefix="build-") as work:
        builder = Builder(parse_dockerfile(text), bases, Path(work))
        for subject in subjects:
            say(f"{subject}:")
            if subject == "wheel":
                told.append(try_wheel(builder.build("build"), Path(work) / subject))
                continue
            (last,) = (s for s in parse_dockerfile(text, {"BACKEND": subject}) if not s.name)
            begun = time.monotonic()
            image = builder.build(last.base)
            built_s = time.monotonic() - begun
            size = _size(image.layers[-1] / "opt/fileloft-fast")
            tried = try_out(image, subject, Path(work) / subject)
            told.append(f"{subject}: built in {built_s:.0f} s, /opt/fileloft-fast {size}; {tried}")
    say(*told, f"{len(told)} passed, 0 failed")
    return 0


def try_wheel(image: Image, work: Path) -> str:
    """Make an sdist in *image*, a wheel of that, and serve by it; return a line about it."""
    upper = work / "upper"
    upper.mkdir(parents=True)
    begun = time.monotonic()
    with mounted(image, upper, work) as root:
        shutil.copy(ROOT / "tests/images/try_wheel.py", root / "srv")
        for line in _WHEEL:
            say(f"  {line}")
            run_in(root, image.config, ["/bin/sh", "-c", line], {})
        (wheel,) = (root / "dist").glob("*.whl")
        return f"wheel: {wheel.name} in {time.monotonic() - begun:.0f} s"


def debian_root() -> Path:
    """Return the root that plays the base image, made where it is not there yet."""
    root = CACHE / "trixie"
    if not root.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        making = CACHE / "trixie.part"
        shutil.rmtree(making, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "trixie", str(making)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (making / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        making.rename(root)
    return root


def try_out(image: Image, backend: str, work: Path) -> str:
    """Start *image*, see that it works, and return a line about it."""
    volume = work / "volume"
    volume.mkdir(parents=True)
    user, _, group = image.config.user.partition(":")
    os.chown(volume, int(user), int(group))
    port = free_ports()["s3"]
    settings = {"FILELOFT_BIND": f"127.0.0.1:{port}"}
    with ExitStack() as ending:
        if backend == "fs":
            container = ending.enter_context(Container(image, settings, volume, work))
            location, told = _visit(container, port)
            assert (volume / key_of(location)).read_bytes() == _BODY
            return told
        cloud = ending.enter_context(CLOUDS[backend](work / "cloud"))
        settings |= cloud.settings
        container = ending.enter_context(Container(image, settings, volume, work))
        location, told = _visit(container, port)
        assert cloud.sha256(location) == hashlib.sha256(_BODY).hexdigest()
        return told


def _visit(container: Container, port: int) -> tuple[str, str]:
    """See what *container* does and make it stop; return its upload's path, and figures."""
    status = Path(f"/proc/{container.pid}/status").read_text(encoding="ascii")
    assert "\nNSpid:\t" in status
    assert status.split("NSpid:")[1].splitlines()[0].split()[-1] == "1", "is not PID 1"
    wrote = container.run(["python", "-c", "open('/tmp/written', 'w')"])
    assert "Read-only file system" in wrote.stderr, wrote
    begun = time.monotonic()
    health = container.health()
    health_s = time.monotonic() - begun
    assert (health.returncode, health.stdout) == (0, "ok\n"), health
    location = upload(port, _BODY)
    assert "Z" not in container.processes().values(), container.processes()
    code, stopped_s = container.stop()
    assert code == 0, container.log
    bad = [line for line in container.log if "Traceback" in line or "ERROR" in line]
    assert not bad, bad
    return location, f"health in {health_s:.1f} s, stopped in {stopped_s:.1f} s"


def upload(port: int, body: bytes) -> str:
    """Upload *body* in two requests and return the path that it got."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    tus = {"Tus-Resumable": "1.0.0"}
    connection.request("POST", "/files/", headers=tus | {"Upload-Length": str(len(body))})
    created = connection.getresponse()
    created.read()
    assert created.status == 201, created.status
    location = created.headers["Location"]
    tus["Content-Type"] = "application/offset+octet-stream"
    connection.request("PATCH", location, body, tus | {"Upload-Offset": "0"})
    answer = connection.getresponse()
    answer.read()
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(len(body))), answer.status
    connection.close()
    return urlsplit(location).path


def _size(folder: Path) -> str:
    done = subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True, check=True)
    return f"{done.stdout.split()[0]} MB"


def _again_inside() -> int:
    """Run this again where what it mounts is seen by nobody else and goes with it."""
    unshare = ["unshare", "--mount", "--propagation=private"]
    command = [*unshare, sys.executable, "-m", "tests.images.rehearse", "--inside", *sys.argv[1:]]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
