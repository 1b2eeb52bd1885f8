"""Real clients over TLS, over a Unix socket behind nginx, and behind HAProxy with PROXY headers.

The proxies run the configurations of deploy/, with this machine's ports and paths put in.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.certificates import Authority
from tests.clients.commands import Client, aiotus, tus_java_client, tus_js_client, tusgo, tuspy
from tests.clients.conftest import MIB, Sample, program
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.ports import free_port
from tests.proxy import Break, End, Proxy
from tests.server import Server

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PATIENCE_S: Final = 180
SIZE: Final = 9 * MIB + 4321
PASSWORD: Final = "loopback"
PATH: Final = f"{os.defpath}:/usr/sbin:/usr/local/sbin"

CLIENTS: Final[Mapping[str, Client]] = {
    "tuspy": tuspy(),
    "aiotus": aiotus(),
    "tus-js-client": tus_js_client(),
    "tus-js-client-draft-05": tus_js_client("ietf-draft-05", "buffer"),
    "tusgo": tusgo("plain"),
    "tus-java-client": tus_java_client(),
}
SILENT: Final = "nginx-unix-socket"
"""The proxy that takes 104 for the answer, so that none must be sent to it."""

pytestmark = pytest.mark.e2e

Deployment = tuple[Endpoint, tuple[str, int]]
"""The server, and where its clients connect."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployments")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def small(folder: Path) -> Sample:
    content = random.Random("small").randbytes(SIZE)
    path = folder / "small.bin"
    path.write_bytes(content)
    return Sample(path, hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="module")
def trusting(folder: Path, authority: Authority) -> dict[str, str]:
    """Return the environment in which each client trusts the authority."""
    certificate, store = str(authority.certificate), folder / "trusted.p12"
    made = f"-file {certificate} -keystore {store} -storetype PKCS12 -storepass {PASSWORD}"
    subprocess.run(
        [program("keytool"), "-importcert", "-noprompt", "-alias", "authority", *made.split()],
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    trust = "-Djavax.net.ssl.trustStore"
    return {
        "REQUESTS_CA_BUNDLE": certificate,
        "SSL_CERT_FILE": certificate,
        "NODE_EXTRA_CA_CERTS": certificate,
        "JAVA_TOOL_OPTIONS": f"{trust}={store} {trust}Password={PASSWORD}",
    }


def rendered(name: str, replaced: Mapping[str, str]) -> str:
    """Return a configuration of deploy/ with *replaced*, each of which must be in it."""
    text = (DEPLOY / name).read_text()
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def running(words: list[str], port: int, said: Path) -> Iterator[None]:
    """Run a proxy until it is no longer needed; *said* is the file of what it says."""
    with said.open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:

        def answers() -> bool:
            assert process.poll() is None, said.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            eventually(answers)
            yield
        finally:
            process.terminate()


def proxy(name: str) -> str:
    """Return the path of a proxy, which distributions put where only root looks."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is missing: make setup installs it"
    return found


@contextmanager
def tls(folder: Path, authority: Authority) -> Iterator[Deployment]:
    with Server(folder / "data", authority.issue().settings(), tls=authority.client()) as server:
        yield Endpoint(server), server.address


@contextmanager
def nginx(folder: Path, authority: Authority) -> Iterator[Deployment]:
    pair, port, path = authority.issue(), free_port(), folder / "http.sock"
    config = folder / "nginx.conf"
    config.write_text(
        "daemon off;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")  # whose files are in the way of others
        + rendered(
            "nginx.conf",
            {
                "/run/nginx.pid": str(folder / "nginx.pid"),
                "/var/log/nginx/error.log": str(folder / "error.log"),
                "/run/fileloft-fast/http.sock;": f"{path};",
                "listen 443 ": f"listen 127.0.0.1:{port} ",
                "/etc/ssl/uploads.pem": str(pair.certificate),
                "/etc/ssl/uploads.key": str(pair.key),
            },
        )
    )
    settings = {
        "FILELOFT_UNIX_SOCKET": str(path),
        "FILELOFT_UNIX_SOCKET_MODE": "0666",
        "FILELOFT_BEHIND_PROXY": "1",
        "FILELOFT_TRUSTED_PROXIES": "unix",
    }
    words = [proxy("nginx"), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    with Server(folder / "data", settings) as server, running(words, port, folder / "said"):
        server.address, server.tls = ("127.0.0.1", port), authority.client()
        yield Endpoint(server), server.address


@contextmanager
def haproxy(folder: Path, authority: Authority, *, through: bool) -> Iterator[Deployment]:
    pair, ports = authority.issue(), (free_port(), free_port())
    both = folder / "uploads.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    settings = {"FILELOFT_PROXY_PROTOCOL": "1", "FILELOFT_TRUSTED_PROXIES": "127.0.0.1"}
    passing = {"FILELOFT_BEHIND_PROXY": "1", "FILELOFT_RESUMABLE_INTERIM": "on"}
    settings |= pair.settings() if through else passing
    with ExitStack() as stack:
        server = stack.enter_context(Server(folder / "data", settings, tls=authority.client()))
        at = f"127.0.0.1:{server.address[1]}"
        config = folder / "haproxy.cfg"
        config.write_text(
            rendered(
                "haproxy.cfg",
                {
                    "bind :443 ": f"bind 127.0.0.1:{ports[0]} ",
                    "bind :8443\n": f"bind 127.0.0.1:{ports[1]}\n",
                    "/etc/haproxy/uploads.pem": str(both),
                    "127.0.0.1:8080": at,
                    "127.0.0.1:8081": at,
                },
            )
        )
        port = ports[through]
        stack.enter_context(
            running([proxy("haproxy"), "-db", "-f", str(config)], port, folder / "said")
        )
        server.address = ("127.0.0.1", port)
        yield Endpoint(server), server.address


DEPLOYMENTS: Final[Mapping[str, Callable[[Path, Authority], object]]] = {
    "tls": tls,
    "nginx-unix-socket": nginx,
    "haproxy-proxy-v2": lambda folder, authority: haproxy(folder, authority, through=False),
    "haproxy-proxy-v2-tls": lambda folder, authority: haproxy(folder, authority, through=True),
}


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def deployed(
    request: pytest.FixtureRequest, folder: Path, authority: Authority
) -> Iterator[Deployment]:
    own = folder / request.param
    own.mkdir()
    with DEPLOYMENTS[request.param](own, authority) as deployment:  # type: ignore[attr-defined]
        yield deployment


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_cut_off_and_its_file_arrives(
    name: str,
    deployed: Deployment,
    small: Sample,
    trusting: dict[str, str],
    tmp_path: Path,
) -> None:
    endpoint, address = deployed
    breaks = (Break(at=2 * MIB, end=End.RESET), Break(at=5 * MIB, end=End.CLOSE))
    with Proxy(address, breaks=breaks) as rough:
        host, port = rough.address
        words = CLIENTS[name](f"https://{host}:{port}/files/", small, tmp_path / "kept")
        ended = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env={"PATH": PATH, "HOME": str(tmp_path)} | trusting,
        )
        assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
        assert not rough.breaks
    location = ended.stdout.strip()
    assert location.startswith(f"https://{host}:{port}/files/")
    stored = endpoint.stored(urlsplit(location).path)
    assert hashlib.sha256(stored).hexdigest() == small.sha256


def test_interim_answers_reach_the_client_or_are_not_sent(
    request: pytest.FixtureRequest, deployed: Deployment, small: Sample, authority: Authority
) -> None:
    endpoint, (host, port) = deployed
    words = [program("curl"), "--silent", "--show-error", "--include"]
    words += ["--cacert", str(authority.certificate)]
    words += ["--write-out", "connections: %{num_connects}\n"]
    words += ["--header", "Upload-Draft-Interop-Version: 8", "--header", "Upload-Complete: ?1"]
    words += ["--data-binary", f"@{small.path}", *2 * [f"https://{host}:{port}/files/"]]
    before = endpoint.uploads()
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, ended.stderr
    statuses = re.findall(r"^HTTP/[0-9.]+ ([0-9]+)", ended.stdout, re.MULTILINE)
    assert [status for status in statuses if status >= "200"] == ["201", "201"]
    assert ("104" in statuses) is (request.node.callspec.params["deployed"] != SILENT)
    assert re.findall(r"^connections: ([0-9]+)", ended.stdout, re.MULTILINE) == ["1", "0"]
    made = endpoint.uploads() - before
    assert len(made) == 2
    for name in made:
        assert hashlib.sha256(endpoint.stored(f"/files/{name}")).hexdigest() == small.sha256
