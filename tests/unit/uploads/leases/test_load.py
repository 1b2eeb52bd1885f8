"""Locks by name: what is missing or wrong is one line for the operator."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fileloft_fast.errors import ConfigError
from fileloft_fast.uploads.leases import load_redis

_MODULE = "fileloft_fast.uploads.leases.redis"


def test_redis_without_its_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, _MODULE, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError) as raised:
        load_redis("redis://127.0.0.1/0", 10)
    assert str(raised.value) == (
        "FILELOFT_LOCK=redis needs an extra: pip install 'fileloft-fast[redis]'"
    )


def test_a_url_that_is_none_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_REDIS_URL: ") as raised:
        load_redis("http://user:secret@127.0.0.1", 10)
    assert "secret" not in str(raised.value)


def test_nothing_of_redis_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, fileloft_fast.app; sys.exit('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert done.returncode == 0
