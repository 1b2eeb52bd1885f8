"""deploy/Caddyfile, run by a real Caddy: uploads stream through it, and its word is the proxy's."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.unit.guards.house import ROOT
from tests.wire import OCTETS, Answer, Wire, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.server import Server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(fleet: Fleet) -> Iterator[Server]:
    with fleet.start(BEHIND_PROXY="1", RESUMABLE_INTERIM="on") as server:
        yield server


@pytest.fixture(scope="module")
def caddy(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Run Caddy in front of *server*, and return its address."""
    home = tmp_path_factory.mktemp("caddy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = ("127.0.0.1", free.getsockname()[1])
    process = subprocess.Popen(
        ["caddy", "run", "--config", str(ROOT / "deploy" / "Caddyfile"), "--adapter", "caddyfile"],
        env={
            "PATH": os.defpath,
            "HOME": str(home),
            "CADDY_ADMIN": f"unix/{home}/admin.sock",
            "UPLOADS_SITE": f"http://:{address[1]}",
            "UPLOADS_SERVER": "{}:{}".format(*server.address),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: accepts(process, address))
        yield address
    finally:
        process.terminate()
        process.wait(10)


def accepts(process: subprocess.Popen[bytes], address: tuple[str, int]) -> bool:
    """Return whether *process* listens on *address* by now."""
    assert process.poll() is None, "caddy has ended"
    try:
        with Wire(address):
            return True
    except ConnectionRefusedError:
        return False


def ask(address: tuple[str, int], method: str, target: str, **fields: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    with Wire(address) as wire:
        return wire.ask(render_request(method, target, headers))


def create(address: tuple[str, int], length: int, **fields: str) -> str:
    answer = ask(address, "POST", "/files/", Upload_Length=str(length), **fields)
    assert answer.status == 201
    location = answer["Location"]
    before, upload = location.split("/files/")
    assert before == "http://upload.example"  # the Host that the client asked for
    return f"/files/{upload}"


def test_bytes_of_a_request_that_never_ends_are_there_and_the_upload_goes_on(
    server: Server, caddy: tuple[str, int]
) -> None:
    data = bytes(range(256)) * 4000
    upload = create(caddy, len(data))
    head = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(len(data))}
    with Wire(caddy) as wire:
        wire.send(render_request("PATCH", upload, head) + data[:400_000])
        # in the middle of the request: HEAD tells what has reached the disk
        eventually(lambda: ask(caddy, "HEAD", upload)["Upload-Offset"] == "400000")
        wire.reset()
    head["Upload-Offset"], head["Content-Length"] = "400000", str(len(data) - 400_000)
    with Wire(caddy) as wire:
        answer = wire.ask(render_request("PATCH", upload, head) + data[400_000:])
    assert (answer.status, answer["Upload-Offset"]) == (204, str(len(data)))
    assert (server.data / upload.removeprefix("/files/")).read_bytes() == data


def test_interim_answers_pass(caddy: tuple[str, int]) -> None:
    fields = {"Upload_Draft_Interop_Version": "8", "Upload_Complete": "?1"}
    answer = ask(caddy, "POST", "/files/", **fields)
    assert answer.status == 201
    assert [each["Location"] for each in answer.before if each.status == 104] == [
        answer["Location"]
    ]


def test_the_creation_url_needs_no_slash(caddy: tuple[str, int]) -> None:
    assert ask(caddy, "OPTIONS", "/files")["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize(
    "field",
    [
        {"Forwarded": "host=evil.example;proto=https"},
        {"X_Forwarded_Host": "evil.example"},
        {"X_Forwarded_Proto": "https"},
        {"X_Forwarded_Prefix": "/evil"},
    ],
)
def test_a_client_does_not_say_where_the_server_is(
    caddy: tuple[str, int], field: dict[str, str]
) -> None:
    create(caddy, 5, **field)


def test_the_configuration_is_valid_and_formatted() -> None:
    path = ROOT / "deploy" / "Caddyfile"
    told = subprocess.run(["caddy", "fmt", str(path)], capture_output=True, check=True).stdout
    assert told.decode() == path.read_text()
    subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(path)],
        capture_output=True,
        check=True,
    )
