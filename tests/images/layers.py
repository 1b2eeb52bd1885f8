"""The stages of a Dockerfile built as folders: overlays over a Debian root, steps run by chroot.

Needs root, and a mount namespace of its own: what is mounted here goes with the process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.images.dockerfile import ROOT, Config, Stage, Step, context_files, put_in

# What names the package index, a proxy or who vouches for them is the machine's, not the image's.
_MACHINE: Final = ("PIP_CERT", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "http_proxy", "https_proxy")
_LENT_FILES: Final = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")
_BASE_PATH: Final = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"


@dataclass(frozen=True, slots=True)
class Image:
    """Layers, the lowest first, and how what is in them is run."""

    layers: tuple[Path, ...]
    config: Config

    def lower(self) -> str:
        """Return the layers as mount(8) wants them: the topmost first."""
        return ":".join(str(layer) for layer in reversed(self.layers))


class BrokenStepError(Exception):
    """A RUN that fails; says what it printed."""


class Builder:
    """Builds each stage once, into folders under *work*."""

    def __init__(self, stages: list[Stage], bases: Mapping[str, Path], work: Path) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._images = {
            name: Image((path,), Config(env={"PATH": _BASE_PATH})) for name, path in bases.items()
        }
        self._work = work
        self._context = context_files(ROOT, (ROOT / ".dockerignore").read_text())

    def build(self, name: str) -> Image:
        """Return the image of the stage or base image *name*. Blocks for minutes."""
        if name not in self._images:
            self._images[name] = self._built(self._stages[name])
        return self._images[name]

    def _built(self, stage: Stage) -> Image:
        below = self.build(stage.base)
        for step in stage.steps:  # before anything is mounted
            if step.word == "COPY" and "from" in step.flags:
                self.build(step.flags["from"])
        config = deepcopy(below.config)
        upper = self._fresh(f"layer-{stage.name or 'last'}")
        with mounted(below, upper, self._fresh("overlay")) as root:
            variables: dict[str, str] = {}
            for step in stage.steps:
                self._do(step, root, config, variables)
        return Image((*below.layers, upper), config)

    def _do(self, step: Step, root: Path, config: Config, arguments: dict[str, str]) -> None:
        say(f"  line {step.line}: {step.word} {step.text[:90]}")
        variables = arguments | config.env
        match step.word:
            case "ARG":
                name, _, default = step.text.partition("=")
                arguments[name] = put_in(default, variables)
            case "COPY":
                self._copy(step, root, config, variables)
            case "RUN":
                run_in(root, config, step.command(), arguments)
            case _:
                config.take(step, variables)
                if step.word == "WORKDIR":
                    _inside(root, config.workdir).mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step, root: Path, config: Config, variables: Mapping[str, str]) -> None:
        *sources, target = step.words(variables)
        into = _inside(root, str(Path(config.workdir, target)))
        for source in sources:
            if "from" in step.flags:
                image = self.build(step.flags["from"])
                with mounted(image, None, self._fresh("source")) as other:
                    shutil.copytree(_inside(other, source), into, symlinks=True)
                continue
            wanted = [name for name in self._context if Path(name).is_relative_to(source)]
            assert wanted, f"line {step.line}: {source} is not in the context"
            for name in wanted:
                inner = Path(name).relative_to(source)
                # a file is put into the folder, of a folder all that is in it
                path = into / (inner if str(inner) != "." else Path(name).name)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path)

    def _fresh(self, name: str) -> Path:
        path = self._work / name
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
        return path


@contextmanager
def mounted(image: Image, upper: Path | None, folder: Path) -> Iterator[Path]:
    """Mount *image* with *upper* taking what is written, or read-only; yield where it is."""
    root, work = folder / "root", folder / "work"
    root.mkdir()
    options = f"lowerdir={image.lower()}"
    if upper is not None:
        work.mkdir()
        options += f",upperdir={upper},workdir={work}"
    elif len(image.layers) == 1:
        options += f":{work}"  # an overlay without an upper layer wants two
        work.mkdir()
    with ExitStack() as mounts:
        mount(mounts, root, "-t", "overlay", "-o", options, "overlay")
        yield root


def run_in(root: Path, config: Config, command: list[str], arguments: Mapping[str, str]) -> None:
    """Run *command* as a build does, with the network and the trust of this machine."""
    env = os.environ  # noqa: TID251 - the machine's, for a step to reach what the machine reaches
    machine = {name: env[name] for name in _MACHINE if name in env}
    with ExitStack() as mounts:
        mount(mounts, root / "proc", "-t", "proc", "proc")
        mount(mounts, root / "dev", "--rbind", "/dev")
        for name in filter(os.path.exists, _LENT_FILES):
            inside = _inside(root, name)
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
            mount(mounts, inside, "--bind", os.path.realpath(name))
        done = subprocess.run(
            [
                *("chroot", f"--userspec={config.user}", str(root)),
                *("/usr/bin/env", f"--chdir={config.workdir}", *command),
            ],
            env={**machine, "HOME": "/root", **config.env, **arguments},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BrokenStepError(f"{command} ends with {done.returncode}:\n{done.stdout}")


def say(*lines: str) -> None:
    """Print *lines*, at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def mount(mounts: ExitStack, where: Path, *how: str) -> None:
    """Mount something at *where* until *mounts* are closed."""
    *options, what = how
    subprocess.run(["mount", *options, what, str(where)], check=True)
    mounts.callback(subprocess.run, ["umount", "--lazy", str(where)], check=True)


def _inside(root: Path, path: str) -> Path:
    """Return where *path* of the image is; no link on the way leads out of *root*."""
    inside = root / path.lstrip("/")
    assert inside.parent.resolve().is_relative_to(root.resolve()), f"{path} leads out of {root}"
    return inside
