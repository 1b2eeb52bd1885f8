"""The command ``grant`` and the function ``issue_grant``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from fileloft_fast import access
from fileloft_fast.access import grant as module
from fileloft_fast.access import issue_grant
from fileloft_fast.cli import run
from fileloft_fast.errors import ConfigError
from tests.tokens import GRANT_SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = {"FILELOFT_GRANT_SECRET": f"{GRANT_SECRET},{'x' * 32}"}


def told(printed: str) -> dict[str, Any]:
    token = printed.removesuffix("\n")
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "fileloft-grant+jwt"}
    claims: dict[str, Any] = jwt.decode(
        token, GRANT_SECRET, algorithms=["HS256"], audience="fileloft-fast/grant"
    )
    return claims


def test_the_command_prints_a_grant(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "grant --ops create,append --max-size 1M --metadata a=b --metadata c=d=e --prefix p"
        " --uploads 3 --expires 2h --subject ann"
    )
    assert run(words.split(), SECRET) == 0
    claims = told(capsys.readouterr().out)
    assert claims["exp"] - claims["iat"] == 7200
    assert claims["sub"] == "ann"
    assert claims["fileloft"] == {
        "ops": ["append", "create"],
        "max_size": 2**20,
        "metadata": {"a": "b", "c": "d=e"},
        "prefix": "p",
        "uploads": 3,
    }


def test_a_grant_that_says_little_allows_little(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grant"], SECRET) == 0
    first = told(capsys.readouterr().out)
    assert first["fileloft"] == {"ops": ["append", "create", "inspect"], "uploads": 1}
    assert first["sub"] == f"grant:{first['jti']}"
    assert first["exp"] - first["iat"] == 3600
    assert run(["grant", "--uploads", "0"], SECRET) == 0
    second = told(capsys.readouterr().out)
    assert "uploads" not in second["fileloft"]
    assert second["jti"] != first["jti"]


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ([], {}),
        ([], {"FILELOFT_GRANT_SECRET": "short"}),
        (["--prefix", "../x"], SECRET),
        (["--max-size", "0"], SECRET),
        (["--upload", "a/b"], SECRET),
    ],
)
def test_what_no_server_would_accept_is_not_printed(
    words: list[str], env: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["grant", *words], env) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "short" not in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["--ops", "fly"],
        ["--expires", "soon"],
        ["--expires", "0"],
        ["--metadata", "k"],
        ["--uploads", "-1"],
    ],
)
def test_wrong_usage_is_said_so(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(["grant", *words], SECRET)


@pytest.mark.parametrize(
    "limits",
    [
        {"secret": "short"},
        {"expires_in_s": 0},
        {"operations": ["fly"]},
        {"max_size": 0},
        {"prefix": "a b"},
        {"metadata": {"k": "x" * 9000}},
        {"subject": "x" * 300},
        {"subject": "half\ud800"},
        {"metadata": {"k": "half\ud800"}},
    ],
)
def test_a_grant_must_be_one(limits: dict[str, Any]) -> None:
    given: dict[str, Any] = {"secret": GRANT_SECRET, "expires_in_s": 60, **limits}
    with pytest.raises(ValueError, match=r"\w"):
        issue_grant(given.pop("secret"), **given)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name=name)

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(ConfigError, match=r"fileloft-fast\[jwt\]"):
        access.issue_grant(GRANT_SECRET, expires_in_s=60)
