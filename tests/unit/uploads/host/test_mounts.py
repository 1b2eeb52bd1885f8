"""Which file systems other hosts may have too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fileloft_fast.uploads.host import mounts

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
34 22 0:31 / /mnt/a\\040b rw,relatime - nfs4 server:/export rw,vers=4.2
35 22 0:32 /sub /mnt/x rw - fuse.sshfs me@there: rw
"""


def test_the_kind_is_that_of_the_device() -> None:
    assert mounts.kind_of(MOUNTS, os.makedev(254, 0)) == "ext4"
    assert mounts.kind_of(MOUNTS, os.makedev(0, 31)) == "nfs4"
    assert mounts.kind_of(MOUNTS, os.makedev(0, 32)) == "fuse.sshfs"
    assert mounts.kind_of(MOUNTS, os.makedev(9, 9)) == ""
    assert mounts.kind_of("", 0) == ""


def test_only_what_other_hosts_may_have_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path.stat().st_dev
    found = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "_MOUNTS", found)
    assert mounts.network_file_system(str(tmp_path)) == ""
    for kind, named in (("ext4", ""), ("nfs4", "nfs4"), ("fuse.sshfs", "fuse.sshfs")):
        number = f"{os.major(device)}:{os.minor(device)}"
        found.write_text(f"22 1 {number} / / rw - {kind} x rw\n")
        assert mounts.network_file_system(str(tmp_path)) == named
