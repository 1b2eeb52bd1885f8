"""Results as JSON, as a table, and what is left out of them."""

from __future__ import annotations

import hashlib
import os
from zlib import crc32

import msgspec
import pytest

from fileloft_fast.bench import (
    BenchError,
    Latency,
    Process,
    Report,
    Result,
    ServerUse,
    Source,
    decode_report,
    describe_machine,
    encode_report,
    render_report,
)
from fileloft_fast.bench.dialects import IETF, TUS
from fileloft_fast.bench.limit import who_was_the_limit
from fileloft_fast.bench.machine import mount_of
from fileloft_fast.bench.markdown import COLUMNS
from fileloft_fast.bench.redact import redact
from fileloft_fast.bench.results import Limit, Offers
from fileloft_fast.bench.summary import Spread, rows_of, spread
from fileloft_fast.bench.target import parse_field, parse_target
from fileloft_fast.bench.words import size_of

LATENCY = Latency(
    count=9, min_s=0.001, mean_s=0.002, p50_s=0.002, p90_s=0.003, p99_s=0.004, p999_s=0.005,
    max_s=0.006, curve=((50.0, 0.002), (100.0, 0.006)),
)  # fmt: skip


def use(cpu_s: float = 1.0, busiest_s: float = 0.5) -> ServerUse:
    return ServerUse(
        cpu_s=cpu_s, busiest_thread_s=busiest_s, rss_before_bytes=1 << 20, peak_rss_bytes=48 << 20,
        peak_since_start=False, voluntary_switches=12, involuntary_switches=3,
    )  # fmt: skip


def report(*results: Result) -> Report:
    return Report(
        at="2026-01-01T00:00:00+00:00",
        command=("fileloft-fast", "bench", "http://h/"),
        url="http://h/",
        offers=Offers(server="peer/1", extensions=("creation",)),
        machine=describe_machine("/"),
        sizes={"size_bytes": 1},
        rounds=2,
        results=results,
    )


def large(rate: float, turn: int) -> Result:
    return Result(
        work="large", done="one PATCH", units=1, bytes=2_000_000_000, seconds=2 / rate,
        client_cpu_s=0.5, server=use(), limit=Limit.SERVER, round=turn,
    )  # fmt: skip


def test_a_report_comes_back_from_json() -> None:
    small = Result(
        work="small", done="10 uploads", units=10, bytes=90, seconds=1.0, latency=LATENCY,
        failures={"reset": 1}, first_failure="gone", parts={"POST": LATENCY}, notes=("n",),
        figures={"x_bytes": 1.0}, client_cpu_s=0.2,
    )  # fmt: skip
    whole = report(large(1.0, 1), small, Result(work="chunks", not_offered="none"))
    assert decode_report(encode_report(whole)) == whole
    assert whole.failed == 1


def test_what_is_no_report_of_this_schema_is_refused() -> None:
    later = encode_report(report()).replace(b'"schema": 1', b'"schema": 2')
    for text in (b"", b"{}", b"[]", b"\xff", later):
        with pytest.raises(BenchError, match="no report of schema 1"):
            decode_report(text)


def test_the_schema_can_be_told() -> None:
    schema = msgspec.json.schema(Report)
    assert {"Report", "Result", "Latency", "ServerUse", "Machine"} <= set(schema["$defs"])


def cells(page: str, work: str) -> dict[str, str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {work} ")]
    names = [name for name, _ in COLUMNS]
    return dict(zip(names, (cell.strip() for cell in line.strip("|").split("|")), strict=True))


def test_rounds_are_one_row_with_median_and_spread() -> None:
    page = render_report(
        report(*(large(rate, turn) for turn, rate in enumerate((1.0, 3.0, 2.0), 1)))
    )
    row = cells(page, "large")
    assert row["rate"] == "2.00 (1.00…3.00) GB/s"
    assert row["client CPU"] == "0.250 (0.250…0.250) s/GB"
    assert row["server CPU"] == "0.500 (0.500…0.500) s/GB"
    assert row["server peak RSS"] == "48 (48…48) MiB"
    assert row["switches vol. / invol."] == "12 / 3"
    assert row["limit"] == "server"
    assert row["failures"] == "0"
    assert row["p99 ms"] == "-"


def test_a_work_that_is_not_offered_has_no_figures() -> None:
    row = cells(render_report(report(Result(work="chunks", not_offered="no checksum"))), "chunks")
    assert row["what"] == "not offered: no checksum"
    assert set(row.values()) == {"chunks", "tus", "not offered: no checksum", "-"}


def test_what_a_server_says_cannot_break_the_page() -> None:
    nasty = Result(
        work="small", units=2, seconds=1.0, failures={"a|b": 1}, first_failure="x`\n|\x1b[2J"
    )
    page = render_report(report(nasty))
    assert "\x1b" not in page
    assert cells(page.replace("a\\|b", "ab"), "small")["failures"] == "1 x ab"
    assert "first failure: `x  | [2J`" in page


def test_the_ground_of_the_figures_is_told() -> None:
    page = render_report(report(large(1.0, 1)))
    machine = describe_machine("/")
    for told in (machine.cpu, machine.kernel, machine.python, "peer/1", "fileloft-fast bench"):
        assert told in page
    assert machine.memory_bytes > 0
    assert machine.packages["msgspec"]


def test_a_directory_is_on_the_innermost_mount() -> None:
    for path, kind in (("/proc/self", "proc"), ("/", None)):
        mount = mount_of(path)
        assert mount is not None
        assert kind in {mount.kind, None}


@pytest.mark.parametrize(
    ("client_s", "server", "cpus", "limit"),
    [
        (0.9, None, 2, Limit.CLIENT),
        (0.9, use(0.9, 0.95), 2, Limit.CLIENT),
        (0.5, None, 2, Limit.UNKNOWN),
        (0.5, use(0.9, 0.9), 4, Limit.SERVER),
        (0.5, use(1.4, 0.4), 2, Limit.SERVER),
        (0.5, use(1.4, 0.4), 4, Limit.NEITHER),
        (0.1, use(0.1, 0.1), 2, Limit.NEITHER),
    ],
)
def test_who_was_the_limit_follows_a_rule(
    client_s: float, server: ServerUse | None, cpus: int, limit: Limit
) -> None:
    assert who_was_the_limit(1.0, client_s, 1, server, cpus) is limit


def test_a_client_of_two_threads_has_twice_the_time() -> None:
    assert who_was_the_limit(1.0, 0.9, 2, None, 2) is Limit.UNKNOWN
    assert who_was_the_limit(0.0, 0.0, 1, None, 2) is Limit.UNKNOWN


def test_secrets_are_not_in_the_command_that_is_told() -> None:
    command = "env A_SECRET=s1 X=1 serve --api-key s2"
    words = [
        "bench", "http://u:s3@h/p?sig=s4", "--token", "s5", "--tok=s5", "--header", "X-A: s6",
        "--header=X-A: s6", "--command", command,
    ]  # fmt: skip
    told = redact(words, token="s5", fields=["X-A: s6"], command=command)
    assert told == (
        "bench", "http://***@h/p?***", "--token", "***", "--tok=***", "--header", "X-A: ***",
        "--header=X-A: ***", "--command", "env A_SECRET=*** X=1 serve --api-key ***",
    )  # fmt: skip


def test_a_url_is_taken_apart() -> None:
    assert parse_target("http://h/files/").address == ("h", 80)
    assert parse_target("http://[::1]:81/x?y=1").address == ("::1", 81)
    assert parse_target("http://[::1]:81/x?y=1").host == "[::1]:81"
    assert parse_target("http://h:81/x?y=1").path == "/x?y=1"
    assert parse_target("http://h:81/x?y=1").url == "http://h:81/x?***"
    assert parse_target("http://h").path == "/"
    assert parse_target("http+unix://%2Frun%2Fa.sock/x").address == "/run/a.sock"
    for wrong in ("http:///x", "http://h/a b", "http://h/{location}", "http://h/ü", "http://[x/"):
        with pytest.raises(BenchError):
            parse_target(wrong)


def test_a_field_is_taken_apart() -> None:
    assert parse_field("X-Api:  a: b ") == ("X-Api", "a: b")
    for wrong in ("", "X", "X:", ": y", "a b: c", "X: {location}", "Content-Length: 1", "X: a\nb"):
        with pytest.raises(ValueError, match=r"must be|tool itself|location"):
            parse_field(wrong)


def test_the_source_digests_what_it_sends() -> None:
    with Source(1000) as source:
        body = source.read(0, 2500)
        assert body[:1000] == body[1000:2000] == os.pread(source.fd, 1000, 0)
        part = body[300:2300]
        assert source.read(300, 2000) == part
        digest = source.digest("sha1", 1300, 2000)
        assert digest == source.digest("sha1", 300, 2000)
        assert digest == hashlib.sha1(part).digest()
        assert source.digest("crc32", 0, 5) == crc32(body[:5]).to_bytes(4)


def test_a_checksum_is_said_as_the_protocol_says_it() -> None:
    assert TUS.checksum("sha1", b"123") == {"Upload-Checksum": "sha1 MTIz"}
    assert IETF.checksum("sha256", b"123") == {"Content-Digest": "sha-256=:MTIz:"}


def test_works_by_both_protocols_are_two_rows() -> None:
    rounds = (Result(work="small", protocol=name) for name in ("tus", "ietf", "tus"))
    rows = [(row.last.protocol, len(row.results)) for row in rows_of(rounds)]
    assert rows == [("tus", 2), ("ietf", 1)]


def test_figures_are_said_shortly() -> None:
    assert [size_of(n) for n in (0, 100, 4096, 1 << 30, 3 << 29)] == [
        "0 B", "100 B", "4 KiB", "1 GiB", "1.5 GiB",
    ]  # fmt: skip
    assert spread([]) is None
    assert spread([1.0, None, 3.0]) == Spread(2.0, 1.0, 3.0, 2)


def test_a_process_is_read_with_its_children() -> None:
    process = Process(os.getpid())
    before = process.begin()
    sum(i * i for i in range(300_000))
    used = process.used_since(before)
    assert used.cpu_s + 0.02 >= used.busiest_thread_s >= 0  # both are counted in ticks of 10 ms
    assert used.peak_rss_bytes > 1 << 20
    assert used.processes >= 1
    assert used.voluntary_switches >= 0
    assert process.directory()
    with pytest.raises(BenchError, match="process 4194304"):
        Process(4_194_304)
