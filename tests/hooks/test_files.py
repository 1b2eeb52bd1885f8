"""Executable files as hooks, beside a Python object and a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint, metadata
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON_HOOKS = """
import time
from fileloft_fast.hooks import HookResponse, RefusedByHookError

class Hooks:
    def pre_create(self, request):
        name = request.event.upload.metadata.get("filename", "")
        if name == "refused":
            raise RefusedByHookError("no", answer_status=401, answer_body=b"who are you")
        if name == "slow":
            time.sleep(3)
        if name == "broken":
            raise ValueError("a bug")
        if name == "nonsense":
            return 7
        return {"HTTPResponse": {"Header": {"X-Python": "sync", "X-Last": "python"}}}

    async def pre_finish(self, request):
        return HookResponse()

    post_finish = "not a method"
"""


def write_hook(folder: Path, event: str, script: str) -> None:
    """Put an executable into *folder*; nobody runs half of it."""
    path = folder / f".{event}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    path.rename(folder / event)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hooks")


@pytest.fixture(scope="module")
def tus(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "my_hooks.py").write_text(PYTHON_HOOKS)
    settings = {
        "FILELOFT_HOOKS_DIR": str(folder),
        "FILELOFT_HOOKS": "my_hooks:Hooks",
        "FILELOFT_HOOKS_EVENTS": "pre-create,post-create,pre-finish,post-finish",
        "FILELOFT_HOOKS_TIMEOUT": "1",
        "FILELOFT_HOOKS_RETRY": "0",
        "FILELOFT_HOOKS_BACKOFF": "0.05",
        "FILELOFT_HOOK_SECRET": "not for children",
        "PYTHONPATH": str(modules),
        "COLOUR": "green",
    }
    server = Server(tmp_path_factory.mktemp("data"), settings)
    try:
        yield Endpoint(server)
    finally:
        assert server.stop() == 0


def wait_for_file(path: Path) -> str:
    """Return the contents of a file that a hook renames into its place."""
    eventually(path.exists)
    return path.read_text()


def named(name: str) -> dict[str, str | None]:
    return {"Upload-Metadata": metadata(filename=name)}


def test_an_executable_gets_json_and_environment_and_may_answer(
    tus: Endpoint, folder: Path
) -> None:
    write_hook(
        folder,
        "pre-create",
        'cat > "$PWD/in.json"; env > "$PWD/env.txt"; echo to the log >&2;'
        ' echo \'{"HTTPResponse":{"Header":{"X-File":"yes","X-Last":"file"}}}\'',
    )
    write_hook(folder, "post-finish", 'env > "$PWD/f.tmp"; mv "$PWD/f.tmp" "$PWD/finished.txt"')
    answer = tus.post({"Upload-Length": "0"})
    assert answer.status == 201
    assert answer["X-File"] == "yes"
    assert answer["X-Python"] == "sync"
    assert answer["X-Last"] == "file"  # a later hook's word counts
    assert json.loads((folder / "in.json").read_text())["Type"] == "pre-create"
    seen = (folder / "env.txt").read_text().splitlines()
    assert {"TUS_ID=", "TUS_SIZE=0", "TUS_OFFSET=0", "COLOUR=green"} <= set(seen)
    assert not any("not for children" in line for line in seen)
    told = wait_for_file(folder / "finished.txt").splitlines()
    assert f"TUS_ID={tus.path_of(answer).rsplit('/', 1)[1]}" in told
    assert any(line.startswith("TUS_IDEMPOTENCY_KEY=") for line in told)
    tus.server.wait_for_log(r'msg="hook says" hook=pre-create line="to the log"')


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 3", 500),
        ("echo nonsense", 500),
        ("yes | head -c 1000000", 500),
        ("kill -9 $$", 500),
        ("sleep 60.0731", 503),
        ("sleep 60.0731 & echo {}; wait", 503),
        ("echo '{\"RejectUpload\":true}'", 400),
        ("exec <&-; echo {}", 201),
        ("sleep 5.0731 & echo {}", 201),
        ("sleep 5.0731 >/dev/null 2>&1 & echo {}", 201),
        ("true", 201),
    ],
)
def test_an_executables_end_decides(tus: Endpoint, folder: Path, script: str, status: int) -> None:
    write_hook(folder, "pre-create", script)
    assert tus.post({"Upload-Length": "5"}).status == status
    # It was killed, and may be dying still.
    assert eventually(lambda: not any("sleep 60.0731" in line for line in processes()))


def processes() -> list[str]:
    """Return the command lines of all processes that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it has ended meanwhile
                continue
    return found


def test_a_file_that_cannot_be_run_is_a_failure(tus: Endpoint, folder: Path) -> None:
    write_hook(folder, "pre-create", "true")
    (folder / "pre-create").chmod(0o644)
    assert tus.post({"Upload-Length": "5"}).status == 500
    (folder / "pre-create").write_text("#!/no/such/interpreter\n")
    (folder / "pre-create").chmod(0o755)
    assert tus.post({"Upload-Length": "5"}).status == 500
    (folder / "pre-create").unlink()
    assert tus.post({"Upload-Length": "5"}).status == 201


@pytest.mark.parametrize(
    ("name", "status"),
    [("refused", 401), ("slow", 503), ("broken", 500), ("nonsense", 500), ("fine", 201)],
)
def test_a_python_hook_decides(tus: Endpoint, folder: Path, name: str, status: int) -> None:
    (folder / "pre-create").unlink(missing_ok=True)
    answer = tus.post({"Upload-Length": "5", **named(name)})
    assert answer.status == status
    if name == "refused":
        assert answer.body == b"who are you"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"HOOKS_EVENTS": "pre-create,no-such"}, "FILELOFT_HOOKS_EVENTS: must be a comma list"),
        ({"HOOKS_DIR": "/no/such/folder"}, "FILELOFT_HOOKS_DIR: there is no folder"),
        ({"HOOKS": "no_such_module:hooks"}, "FILELOFT_HOOKS: no_such_module:hooks: ModuleNot"),
        ({"HOOKS": "json:no_such_object"}, "FILELOFT_HOOKS: json:no_such_object: AttributeErr"),
        ({"HOOKS": "json"}, "FILELOFT_HOOKS: must be a comma list of module:object"),
        ({"HOOKS_HTTP": "ftp://x"}, "FILELOFT_HOOKS_HTTP: must be a comma list of http"),
    ],
)
def test_hooks_that_cannot_be_are_refused_at_the_start(
    tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    with pytest.raises(AssertionError, match=line):
        Server(tmp_path, {f"FILELOFT_{name}": value for name, value in settings.items()})


def test_a_server_without_hooks_loads_nothing_of_them(tmp_path: Path) -> None:
    code = (
        "import sys, asyncio\n"
        "from fileloft_fast.config import read_settings\n"
        "from fileloft_fast.app import opened_storage\n"
        "from fileloft_fast.app.site import site_of\n"
        f"settings = read_settings({{'FILELOFT_DATA_DIR': {str(tmp_path)!r}}})\n"
        "async def scene():\n"
        "    async with opened_storage(settings) as storage:\n"
        "        site_of(settings, storage, max_connections=1)\n"
        "asyncio.run(scene())\n"
        "print([n for n in sys.modules if 'fileloft_fast.hooks' in n or 'aiohttp' in n])\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert "outbox" not in os.listdir(tmp_path)  # noqa: PTH208 - names alone


def test_what_a_hook_leaves_running_costs_the_server_no_descriptor(
    tus: Endpoint, folder: Path
) -> None:
    write_hook(folder, "pre-create", "sleep 5.0732 & echo {}")
    assert tus.post({"Upload-Length": "5"}).status == 201
    before = len(tus.server.open_files())
    for _ in range(6):
        assert tus.post({"Upload-Length": "5"}).status == 201
    assert eventually(lambda: len(tus.server.open_files()) <= before + 2)
