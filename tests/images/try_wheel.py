"""See that an installed fileloft-fast serves: upload something with a checksum, and stop it.

For wheels, wherever they were installed: wants nothing but the standard library, and is no test of
pytest's. Run as ``python tests/images/try_wheel.py`` by the interpreter that has the wheel.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

BODY: Final = os.urandom(1 << 20)


def main() -> int:
    """Serve, upload and stop; return 0, or raise what went wrong."""
    command = [sys.executable, "-I", "-m", "fileloft_fast", "serve"]  # -I: not from the checkout
    with TemporaryDirectory() as data:
        settings = {"FILELOFT_BIND": "127.0.0.1:0", "FILELOFT_DATA_DIR": data}
        process = subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, text=True)
        with process:
            try:
                assert process.stderr is not None
                log = [process.stderr.readline()]
                while not (listening := re.search(r"listening address=(\S+):(\d+)", log[-1])):
                    assert log[-1], "".join(log)
                    log.append(process.stderr.readline())
                path = upload(HTTPConnection(listening[1], int(listening[2]), timeout=30))
                assert Path(data, path.rsplit("/", 1)[1]).read_bytes() == BODY
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
            finally:
                process.kill()
    sys.stdout.write("uploaded\n")
    return 0


def upload(connection: HTTPConnection) -> str:
    """Upload the body, its checksum with it, and return where it is."""
    tus = {"Tus-Resumable": "1.0.0"}
    connection.request("POST", "/files/", headers=tus | {"Upload-Length": str(len(BODY))})
    created = connection.getresponse()
    created.read()
    assert created.status == 201, created.status
    checksum = base64.b64encode(hashlib.sha256(BODY).digest()).decode("ascii")
    tus |= {"Upload-Offset": "0", "Upload-Checksum": f"sha256 {checksum}"}
    tus |= {"Content-Type": "application/offset+octet-stream"}
    location = created.headers["Location"]
    connection.request("PATCH", location, BODY, tus)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 204, answer.status
    connection.close()
    return location


if __name__ == "__main__":
    sys.exit(main())
