"""What is read of callgrind's files, and which Python functions a count is of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.instructions.__main__ import environment
from benchmarks.instructions.callgrind import Counts, combined, inclusive, parse_counts
from benchmarks.instructions.counted import MissingProgramError, program
from benchmarks.instructions.frames import Frame, Frames

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
positions: line
events: Ir
summary: 160

ob=(1) /usr/lib/libpython.so
fl=(1) main.c
fn=(1) main
10 20
cfi=(2) work.c
cfn=(2) work'2
calls=3 7
+2 90
* 10

fl=(2)
fn=(2)
7 60
-3 30

ob=(2) ???
fl=(3) ???
fn=(3) 0x0000000004936738
0 40

totals: 160
"""


def counts() -> Counts:
    return parse_counts(FILE.splitlines())


def test_the_instructions_of_a_function_are_those_of_its_lines_and_not_of_what_it_calls() -> None:
    assert dict(counts().own) == {"main": 30, "work": 90, "0x0000000004936738": 40}
    assert counts().total == 160


def test_a_call_has_a_number_and_what_it_cost() -> None:
    assert list(inclusive(counts())) == [("work", 3, 90)]


def test_the_levels_of_a_recursion_are_one_function() -> None:
    assert "work'2" not in counts().own
    assert counts().calls["main", "work"] == 3


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="callgrind"):
        parse_counts(["version: 1"])


def test_what_both_parts_have_cancels() -> None:
    once, twice = counts(), counts()
    twice.own["work"] += 50
    twice.total += 50
    twice.called["main", "work"] += 50
    twice.calls["main", "work"] += 5
    found = combined([(1, twice), (-1, once)])
    assert found.total == 50
    assert list(found.own.elements()) == ["work"] * 50
    assert [row for row in inclusive(found) if row[1]] == [("work", 5, 50)]


def test_a_part_can_count_by_a_fraction() -> None:
    found = combined([(1, counts()), (-0.5, counts())])
    assert (found.total, found.own["main"], found.calls["main", "work"]) == (80, 15, 1)


def test_a_program_that_is_missing_is_named_with_how_to_have_it() -> None:
    with pytest.raises(MissingProgramError, match=r"no-such-program is missing.*system-packages"):
        program("no-such-program")


def test_counts_are_kept_by_what_they_depend_on_and_not_by_machine() -> None:
    key = environment()
    assert "uvloop" in key
    assert f"python {sys.version.split(maxsplit=1)[0]}" in key
    assert os.uname().nodename not in key
    assert key == environment()


PROGRAM: Final = """
import asyncio
def leaf(): return 1
def branch(): return leaf() + leaf()
async def root():
    await asyncio.sleep(0)
    for _ in range(3): branch()
asyncio.run(root())
"""


def test_python_functions_are_told_apart_and_their_calls_counted(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.look()
    frames.look()
    environ = {"PATH": os.defpath, **frames.settings}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environ, check=True)
    frames.look()
    frames.look()
    named = {
        line.split("\t")[1]: line.split("\t")[0]
        for line in (tmp_path / "names").read_text().splitlines()
        if "\t<string>\t" in line
    }
    cost = {"root": (2, 900), "branch": (3, 600), "leaf": (6, 120)}
    seen = Counts(
        calls=Counter({("run", named[name]): times for name, (times, _) in cost.items()}),
        called=Counter({("run", named[name]): whole for name, (_, whole) in cost.items()}),
    )
    attributed = [frame for frame in frames.attribute(seen) if frame.calls]
    assert attributed == [
        Frame("branch <string>:4", 3, 480, 600),
        Frame("root <string>:5", 2, 300, 900),
        Frame("leaf <string>:3", 6, 120, 120),
    ]
