"""The Dockerfile: what it copies is there, what it names exists, what it starts is ours."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from fileloft_fast.config import ROWS
from tests.images.dockerfile import ROOT, Config, Stage, Step, context_files, parse_dockerfile

TEXT: Final = (ROOT / "Dockerfile").read_text()
STAGES: Final = {stage.name: stage for stage in parse_dockerfile(TEXT)}
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONTEXT: Final = context_files(ROOT, (ROOT / ".dockerignore").read_text())
BACKENDS: Final = ("fs", "s3", "gcs", "azure")


def steps(word: str) -> list[Step]:
    """Return every step of that *word*, of all stages."""
    return [step for stage in STAGES.values() for step in stage.steps if step.word == word]


def config(name: str) -> Config:
    """Return how the image of the stage *name* is run."""
    stage = STAGES[name]
    made = config(stage.base) if stage.base in STAGES else Config()
    for step in stage.steps:
        if step.word not in {"ARG", "COPY", "RUN"}:
            made.take(step, made.env)
    return made


def hadolint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Lint the Dockerfile of *folder* by this project's rules."""
    program = Path(sys.executable).parent / "hadolint"
    command = [str(program), "--no-color", "--config", str(ROOT / ".hadolint.yaml"), "Dockerfile"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say() -> None:
    done = hadolint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_sees_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /tmp\nUSER root\n")
    done = hadolint(tmp_path)
    assert done.returncode == 1
    assert "DL3007" in done.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_build_argument_chooses_the_stage_of_a_backend(backend: str) -> None:
    last = parse_dockerfile(TEXT, {"BACKEND": backend})[-1]
    assert (last.name, last.base, last.steps) == ("", backend, ())
    assert config(backend).env["FILELOFT_BACKEND"] == backend


def test_without_a_build_argument_it_is_local_disk() -> None:
    assert parse_dockerfile(TEXT)[-1].base == "fs"


def test_a_stage_is_built_on_an_earlier_one_or_on_the_one_base_image() -> None:
    seen: list[str] = []
    for stage in parse_dockerfile(TEXT):
        assert stage.base in seen or stage.base == "python:3.13-slim-trixie"
        copied = [step.flags["from"] for step in stage.steps if "from" in step.flags]
        assert set(copied) <= set(seen), stage.name
        seen.append(stage.name)


def test_what_is_copied_is_in_the_context() -> None:
    for step in steps("COPY"):
        if "from" not in step.flags:
            for source in step.words({})[:-1]:
                there = [name for name in CONTEXT if Path(name).is_relative_to(source)]
                assert there, f"line {step.line}: .dockerignore hides {source}"


def test_the_context_has_all_of_the_package_and_nothing_that_was_built() -> None:
    sources = {*ROOT.glob("ext/*.p*"), *ROOT.glob("fileloft_fast/**/*.py*")}
    # a process that was killed may have left half a file of bytecode
    sources = {path for path in sources if path.parent.name != "__pycache__"}
    wanted = {path.relative_to(ROOT).as_posix() for path in sources}
    assert wanted <= set(CONTEXT)
    assert [name for name in CONTEXT if name.endswith((".so", ".pyc"))] == []
    tops = {name.split("/")[0] for name in CONTEXT}
    assert not tops & {".git", ".venv", "build", "data", "tests", "node_modules"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_runs_as_a_numbered_user_who_is_not_root(backend: str) -> None:
    # a name does not tell Kubernetes' runAsNonRoot that it is not root
    user, group = config(backend).user.split(":")
    assert min(int(user), int(group)) >= 10_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_starts_our_command_and_asks_it_for_its_health(backend: str) -> None:
    image = config(backend)
    assert set(image.entrypoint) <= set(PROJECT["scripts"])
    program, *command = image.healthcheck
    assert program in PROJECT["scripts"]
    shown = subprocess.run(
        [sys.executable, "-m", "fileloft_fast", *command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_volume_and_the_port_are_those_of_the_settings(backend: str) -> None:
    image = config(backend)
    assert image.volumes == [ROWS["data_dir"].default]
    assert image.ports == [ROWS["bind"].default.rsplit(":", 1)[1]]


def test_the_extras_that_are_installed_exist_and_none_is_left_out() -> None:
    found = [re.findall(r"\.whl\)\[([a-z0-9,]+)\]", step.text) for step in steps("RUN")]
    installed = {extra for step in found for extras in step for extra in extras.split(",")}
    # who measures plots, an app server asks; a server does neither
    assert installed == set(PROJECT["optional-dependencies"]) - {"bench", "client"}


def test_an_image_says_what_it_is() -> None:
    (label,) = steps("LABEL")
    labels = dict(word.split("=", 1) for word in label.words({"VERSION": "1", "REVISION": "2"}))
    said = {name.removeprefix("org.opencontainers.image."): said for name, said in labels.items()}
    assert said == {
        "title": PROJECT["name"],
        "description": PROJECT["description"],
        "licenses": PROJECT["license"],
        "version": "1",
        "revision": "2",
    }


def test_pip_keeps_no_cache() -> None:
    for step in steps("RUN"):
        installs = re.findall(r"pip (?:install|wheel)[^&]*", step.text)
        assert all("--no-cache-dir" in install for install in installs), step.line


def test_the_interpreter_of_the_environment_is_where_it_was_made() -> None:
    # /opt/fileloft-fast/bin/python is a link into the base image
    assert STAGES["build"].base == STAGES["base"].base
    copied = [step for backend in BACKENDS for step in STAGES[backend].steps if step.word == "COPY"]
    assert {tuple(step.words({})) for step in copied} == {("/opt/fileloft-fast",) * 2}


def test_make_has_a_target_for_each_backend() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert f"$(addprefix docker-build-,{' '.join(BACKENDS)})" in makefile


def test_steps_are_read_as_docker_reads_them() -> None:
    text = (
        "ARG WHICH=a\n# a comment\nFROM image:1 AS a\nENV X=1 \\\n    # one\n    Y='two words'\n"
        "COPY --from=b --chown=1:2 /x $X/\nFROM ${WHICH}\n"
    )
    env = Step(4, "ENV", {}, "X=1 Y='two words'")
    copy = Step(7, "COPY", {"from": "b", "chown": "1:2"}, "/x $X/")
    assert parse_dockerfile(text) == [Stage("a", "image:1", (env, copy)), Stage("", "a", ())]
    assert parse_dockerfile(text, {"WHICH": "b"})[1].base == "b"
    assert env.words({}) == ["X=1", "Y=two words"]
    assert copy.words({"X": "/y"}) == ["/x", "/y/"]
    assert Step(1, "ENTRYPOINT", {}, '["a", "b c"]').command() == ["a", "b c"]
    assert Step(1, "RUN", {}, "a | b").command() == ["/bin/sh", "-c", "a | b"]


def test_an_instruction_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: ONBUILD"):
        parse_dockerfile("FROM a\nONBUILD RUN x\n")


def test_the_last_rule_that_matches_decides_what_the_context_has(tmp_path: Path) -> None:
    for name in ("a/b.py", "a/b.so", "a/__pycache__/b.pyc", "c/d", "e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ignore = "# all but a\n*\n!a\n!e\n**/__pycache__\n**/*.so\n"
    assert context_files(tmp_path, ignore) == ["a/b.py", "e"]
    assert context_files(tmp_path, "*\n!c/d\n") == ["c/d"]
    assert context_files(tmp_path, "") == ["a/__pycache__/b.pyc", "a/b.py", "a/b.so", "c/d", "e"]
