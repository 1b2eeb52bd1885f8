"""resume: HEAD and PATCH while another connection holds the upload and has gone silent."""

from __future__ import annotations

import fcntl
import struct
import termios
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.latency import latency_of
from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.sizes import KIB
from fileloft_fast.bench.wire import connect
from fileloft_fast.dataplane import load as native

if TYPE_CHECKING:
    import socket

    from fileloft_fast.bench.scene import Scene
    from fileloft_fast.bench.wire import Answer

_HELD_BYTES: Final = 256 * KIB
_STEP_BYTES: Final = 4099  # each holder stalls at another byte
_WAIT: Final = frozenset({409, 423, 429, 503})
_AGAIN_S: Final = 0.05
_LOOK_S: Final = 0.001


@dataclass(slots=True)
class Seen:
    """What was seen beside all holders."""

    heads: native.Histogram = field(default_factory=native.Histogram)
    takeovers: native.Histogram = field(default_factory=native.Histogram)
    holders: int = 0
    exact: int = 0


def resume(scene: Scene) -> Outcome:
    """Stall holders, one after the other; ask each upload's offset, and take it over.

    HEADs are timed natively; a takeover from its first PATCH to the one that succeeds, with the
    server's refusals between. Ends early where the server takes its time.
    """
    sizes, seen = scene.sizes, Seen()
    end = time.monotonic() + sizes.resume_s
    with scene.clock.run(), scene.watch(sizes.resumes, "holders") as tell:
        while seen.holders < sizes.resumes and (not seen.holders or time.monotonic() < end):
            _resume_once(scene, scene.fit(2 * (_HELD_BYTES + _STEP_BYTES * seen.holders)), seen)
            if tell is not None:
                tell(seen.holders)
    if seen.holders < sizes.resumes:
        scene.note(f"ended after {sizes.resume_s:g} s: {seen.holders} of {sizes.resumes} holders")
    return Outcome(
        done=f"{seen.holders} stalled holders, {sizes.heads} HEADs and a takeover each",
        units=seen.holders,
        latency=latency_of(seen.heads),
        parts={"HEAD": latency_of(seen.heads), "takeover": latency_of(seen.takeovers)},
        figures={"offsets_exact_count": seen.exact},
    )


def _resume_once(scene: Scene, size: int, seen: Seen) -> None:
    """Stall a holder at the middle of an upload of *size*, and resume beside it."""
    held, seen.holders = size // 2, seen.holders + 1
    path, content = scene.create(size), scene.source.read(0, size)
    status = scene.ask("HEAD", path).status  # 200 or 204: servers differ
    with closing(connect(scene.target.address, scene.sizes.timeout_s)) as holder:
        fields = scene.target.dialect.append(0, ends=True)
        holder.sendall(scene.head("PATCH", path, fields, size) + content[:held])
        _wait_until_taken(holder)
        step = native.Step(scene.head("HEAD", path), status)
        load = scene.run_aside(scene.plan([[step]], units=scene.sizes.heads, connections=1))
        scene.count_failures(load)
        seen.heads.add(load.unit_histogram)
        asked = scene.ask("HEAD", path)
        if asked.offset is None or asked.offset > held:
            scene.clock.fail("offset beside a holder", f"HEAD {path}: {asked.offset}, sent {held}")
            return
        seen.exact += asked.offset == held
        _take_over(scene, path, asked.offset, content, seen)


def _take_over(scene: Scene, path: str, offset: int, content: bytes, seen: Seen) -> None:
    """PATCH what is missing, again and again where the server says so, as clients do."""
    begun = time.monotonic()
    answer = scene.append(path, offset, content[offset:])
    while answer.status in _WAIT and time.monotonic() < begun + scene.sizes.timeout_s:
        scene.note(f"a takeover was refused at first: {answer.status}")
        time.sleep(_AGAIN_S)
        offset = _offset_now(scene, path, answer, offset)
        answer = scene.append(path, offset, content[offset:])
    if answer.status == scene.target.dialect.ended_status:
        seen.takeovers.record(time.monotonic() - begun)
        scene.verify(path, len(content))
    else:
        scene.clock.fail(f"takeover: {answer.status}", f"PATCH {path}: {answer.said()}")


def _offset_now(scene: Scene, path: str, answer: Answer, offset: int) -> int:
    """Return where to go on after *answer*: a 409 is for bytes of the holder that came in late."""
    if answer.status != 409:
        return offset
    asked = scene.ask("HEAD", path).offset
    return offset if asked is None else asked


def _wait_until_taken(sock: socket.socket) -> None:
    """Wait until the server's kernel has acknowledged everything: the stall begins then."""
    while struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]:
        time.sleep(_LOOK_S)
