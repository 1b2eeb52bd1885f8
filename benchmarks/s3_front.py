"""S3 clients put, list, get and delete 1 GiB through the S3 front; every byte comes back.

    python -m benchmarks.s3_front --dir build/bench [--aws PATH] [--only fs,s3]

On storages in a folder and in a bucket of SeaweedFS, with boto3 and ``aws s3 cp``. Told are the CPU
seconds a GB (10^9 bytes) of the server and the most memory that it took. The figures of a busy
machine are good for comparisons within one run alone. Wants 6 GB of disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers import Meter, Peer, say
from tests.server import Server
from tests.storages.s3_clients import (
    ACCESS_KEY,
    REGION,
    S3_SETTINGS,
    SECRET_KEY,
    boto,
    url_of,
)
from tests.stores.clouds import S3Cloud
from tests.stores.seaweedfs import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
BUCKET: Final = "bench"
AWS: Final = Path("build/clients/aws/bin/aws")
_KEY: Final = "large"


def main() -> int:
    """Run what is asked for; 1 where a file did not come back as it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--aws", type=Path, default=AWS)
    parser.add_argument("--only", default="fs,s3")
    parser.add_argument("--size", type=int, default=GIB)
    wanted = parser.parse_args()
    wanted.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="s3-front-", dir=wanted.dir))
    try:
        source = folder / "source"
        _write(source, wanted.size)
        for kind in wanted.only.split(","):
            _run(kind, folder, source, wanted.aws)
    except AssertionError as error:
        say(f"MISS {error}")
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


def _run(kind: str, folder: Path, source: Path, aws: Path) -> None:
    with ExitStack() as stack:
        settings = dict(S3_SETTINGS) | {"FILELOFT_STORAGES": f"{BUCKET}=?paths=relaxed"}
        if kind == "s3":
            cloud = stack.enter_context(S3Cloud(folder / "weed"))
            place = f"s3://{cloud.bucket}/{BUCKET}/?endpoint={cloud.url}&region={REGION}"
            settings |= KEYS
            settings["FILELOFT_STORAGES"] = f"{BUCKET}={place}&path_style=1&paths=relaxed"
        server = stack.enter_context(Server(folder / kind, settings))
        _by_boto(kind, server, folder, source)
        _by_aws(kind, server, folder, source, aws)
        say(f"     {kind}: peak RSS of the server {server.memory('VmHWM') / MIB:.0f} MiB")


def _by_boto(kind: str, server: Server, folder: Path, source: Path) -> None:
    back = folder / "back"
    with boto(server) as s3:
        size = source.stat().st_size
        whole = source.open("rb")
        with whole:
            _measured(
                f"{kind}: boto3 put_object",
                server,
                size,
                lambda: s3.put_object(Bucket=BUCKET, Key=_KEY, Body=whole),
            )
        _measured(
            f"{kind}: boto3 upload_file, in parts",
            server,
            size,
            lambda: s3.upload_file(str(source), BUCKET, _KEY),
        )
        listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert [(each["Key"], each["Size"]) for each in listed] == [(_KEY, size)], listed
        _measured(
            f"{kind}: boto3 download_file",
            server,
            size,
            lambda: s3.download_file(BUCKET, _KEY, str(back)),
        )
        assert _digest(back) == _digest(source), "boto3 got other bytes"
        s3.delete_object(Bucket=BUCKET, Key=_KEY)
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0, "what was deleted is listed"
    back.unlink()


def _by_aws(kind: str, server: Server, folder: Path, source: Path, program: Path) -> None:
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
    }

    def aws(*words: str) -> str:
        command = [str(program), "--endpoint-url", url_of(server), "s3", *words]
        ended = subprocess.run(  # noqa: S603 - the program that whoever runs this names
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return ended.stdout

    back = folder / "back"
    size = source.stat().st_size
    there = f"s3://{BUCKET}/{_KEY}"
    _measured(
        f"{kind}: aws s3 cp, up", server, size, lambda: aws("cp", "--quiet", str(source), there)
    )
    assert aws("ls", f"s3://{BUCKET}").split()[2:] == [str(size), _KEY], "aws lists other objects"
    _measured(
        f"{kind}: aws s3 cp, down", server, size, lambda: aws("cp", "--quiet", there, str(back))
    )
    assert _digest(back) == _digest(source), "aws got other bytes"
    aws("rm", "--quiet", there)
    assert aws("ls", f"s3://{BUCKET}") == "", "what was removed is listed"
    back.unlink()


def _measured(work: str, server: Server, size: int, call: Callable[[], object]) -> None:
    with Meter(Peer(server.address, server.pid)) as meter:
        call()
    say(f"ok   {work}: {meter.cpu_s / size * 1e9:.2f} CPU s/GB")


def _write(file: Path, size: int) -> None:
    with file.open("wb") as target:
        for start in range(0, size, MIB):
            target.write(os.urandom(min(MIB, size - start)))


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
