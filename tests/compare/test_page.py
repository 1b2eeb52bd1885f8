"""The page: made of a record alone, the same each time, and the committed one is of its record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from benchmarks.compare.__main__ import main
from benchmarks.compare.bars import BARS, Bar, missed, render_bars
from benchmarks.compare.charts import render_chart
from benchmarks.compare.page import PAGE, RESULTS, render_page
from benchmarks.compare.record import Record, Sample, Server, read_record, write_record
from benchmarks.compare.table import format_spread, render_overview, render_work
from benchmarks.compare.works import WORKS
from fileloft_fast.bench.results import Machine, Mount
from fileloft_fast.bench.summary import spread

DOCS: Final = Path("docs")
MACHINE: Final = Machine(
    cpu="a CPU",
    cpus=2,
    memory_bytes=2**33,
    kernel="Linux 6",
    python="CPython 3",
    packages={"uvloop": "1"},
    commit="abc",
    server_directory=Mount(path="/x", kind="ext4", device="/dev/x"),
)
LARGE: Final = next(work for work in WORKS if work.name == "large")
SMALL: Final = next(work for work in WORKS if work.name == "small")


def server(name: str, sync: str = "no") -> Server:
    return Server(name=name, version="1", sync=sync, checksum="no")


def samples(work: str, name: str, key: str, *values: float) -> list[Sample]:
    return [
        Sample(work=work, server=name, round=number, figures={key: value})
        for number, value in enumerate(values, 1)
    ]


def record(servers: list[Server], *taken: list[Sample], missing: tuple[str, ...] = ()) -> Record:
    return Record(
        at="2026-11-25 12:00 UTC",
        command="python -m benchmarks.compare",
        seconds=9,
        rounds=3,
        machine=MACHINE,
        sizes={},
        servers=tuple(servers),
        samples=tuple(sample for some in taken for sample in some),
        missing=missing,
    )


SERVERS: Final = [
    server("ours", "yes"),
    server("ours, unsynced"),
    server("peer <1>"),
    server("limit (C)"),
    server("limit (C), synced", "yes"),
]
RECORD: Final = record(
    SERVERS,
    samples("large", "ours, unsynced", "gb_per_s", 2.0, 2.5, 2.25),
    samples("large", "limit (C)", "gb_per_s", 2.5, 2.5, 2.5),
    samples("large", "peer <1>", "gb_per_s", 0.5, 0.5, 0.5),
    samples("small", "ours", "uploads_per_s", 5000, 6000, 7000),
    samples("small", "ours, unsynced", "uploads_per_s", 12000, 12000, 12000),
    samples("small", "limit (C)", "uploads_per_s", 24000, 24000, 24000),
    samples("small", "limit (C), synced", "uploads_per_s", 10000, 6000, 10000),
    missing=("peer <1>, chunks: not offered: checksum",),
)


def cells(table: str, first: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_committed_page_is_what_its_record_renders() -> None:
    for name, text in render_page(read_record(DOCS / RESULTS)).items():
        committed = (DOCS / name).read_text(encoding="utf-8")
        assert committed == text, f"{name}: run python -m benchmarks.compare --render"


def test_no_picture_is_left_of_another_record() -> None:
    drawn = {path.name for path in (DOCS / RESULTS).parent.glob("*.svg")}
    rendered = {Path(name).name for name in render_page(read_record(DOCS / RESULTS))}
    assert {f"{work.name}.svg" for work in WORKS} & drawn == rendered - {PAGE}


def test_a_page_of_another_record_is_another_page() -> None:
    changed = record(SERVERS, samples("large", "ours, unsynced", "gb_per_s", 9.99))
    assert render_page(RECORD)[PAGE] != render_page(changed)[PAGE]
    assert render_page(RECORD) == render_page(RECORD)


def test_the_command_renders_a_page_anew_and_measures_nothing(tmp_path: Path) -> None:
    write_record(tmp_path / RESULTS, RECORD)
    assert main(["--render", "--docs", str(tmp_path)]) == 0
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert page == render_page(RECORD)[PAGE]
    for picture in re.findall(r"\]\((benchmarks/\w+\.svg)\)", page):
        assert (tmp_path / picture).exists()


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "results.json", RECORD)
    assert read_record(tmp_path / "results.json") == RECORD


def test_every_figure_stands_beside_what_its_server_promises() -> None:
    assert cells(render_work(RECORD, SMALL), "ours")[:2] == ["yes", "no"]
    overview = render_overview(RECORD)
    assert cells(overview, r"*synced before the answer*")[:3] == ["yes", "no", "no"]
    assert "checksums" in overview


def test_a_table_tells_the_median_and_the_spread() -> None:
    assert cells(render_work(RECORD, LARGE), "ours, unsynced")[2] == "2.25 (2.00 to 2.50)"
    assert format_spread(spread([1.0, 1.001]), 2) == "1.00"
    assert format_spread(None, 2) == "\N{EN DASH}"


def test_the_share_of_the_limit_is_of_the_one_that_syncs_as_the_server_does() -> None:
    table = render_work(RECORD, SMALL)
    assert cells(table, "ours")[-1] == "0.70"  # of 0.5, 1.0 and 0.7
    assert cells(table, "ours, unsynced")[-1] == "0.50"
    assert cells(render_work(RECORD, LARGE), "peer <1>")[-1] == "0.20"


def test_the_limit_is_the_last_column_of_the_overview() -> None:
    overview = render_overview(RECORD)
    assert overview.splitlines()[0].endswith("| limit (C) |")
    assert "24,000; synced 10,000" in overview


def test_what_was_not_measured_is_a_dash_and_a_line() -> None:
    assert cells(render_overview(RECORD), "One PATCH of 512 MiB, **GB/s**")[0] == "\N{EN DASH}"
    assert "- peer <1>, chunks: not offered: checksum" in render_page(RECORD)[PAGE]


def test_bars_say_ok_miss_or_that_nothing_was_measured() -> None:
    table = render_bars(RECORD)
    assert cells(table, "large PATCH, GB/s")[-1] == "ok"
    assert cells(table, "unsynced small uploads, uploads/s")[-1] == "MISS"
    assert cells(table, "durable small uploads, uploads/s")[-1] == "ok"
    assert cells(table, "GET, GB/s" if "GET, GB/s" in table else "RSS per slow upload, KiB")[-1]
    assert missed(RECORD) == ["unsynced small uploads, uploads/s"]


def test_bars_against_a_server_that_took_no_part_are_left_out() -> None:
    assert "tusd" not in render_bars(RECORD)
    with_tusd = record(
        [*SERVERS, server("tusd")],
        samples("large", "ours, unsynced", "gb_per_s", 2.0),
        samples("large", "tusd", "gb_per_s", 1.0),
    )
    assert "\N{MULTIPLICATION SIGN} tusd" in render_bars(with_tusd)
    assert missed(with_tusd) == ["large PATCH, GB/s"]


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: f"{bar.title} {bar.mine}")
def test_a_bar_is_about_a_figure_that_its_work_has(bar: Bar) -> None:
    (work,) = [work for work in WORKS if work.name == bar.work]
    assert bar.figure in {figure.key for figure in work.figures}
    assert (bar.at_least is None) != (bar.at_most is None)


def test_the_gate_is_closed_where_a_bar_is_missed(tmp_path: Path) -> None:
    write_record(tmp_path / RESULTS, RECORD)
    assert main(["--render", "--gate", "--docs", str(tmp_path)]) == 1
    good = record(SERVERS, samples("large", "ours, unsynced", "peak_mib", 30))
    write_record(tmp_path / RESULTS, good)
    assert main(["--render", "--gate", "--docs", str(tmp_path)]) == 0


def test_a_picture_is_xml_with_a_bar_for_each_server() -> None:
    svg = ElementTree.fromstring(render_chart(RECORD, LARGE))
    names = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ours, unsynced", "peer <1>", "limit (C)"} <= set(names)
    assert "ours" not in names
