"""From what was measured to the figures of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.errors import FileloftError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fileloft_fast.bench.results import Result, ServerUse

MIB = 1024 * 1024


class NotMeasuredError(FileloftError):
    """A work of which there is no figure; the message says why in one line."""


def figures_of_result(result: Result) -> dict[str, float]:
    """Return a result's figures. Raises NotMeasuredError where requests failed: it has none."""
    if result.not_offered is not None:
        raise NotMeasuredError(f"not offered: {result.not_offered}")
    if result.failures:
        what, times = max(result.failures.items(), key=lambda item: item[1])
        raise NotMeasuredError(f"{times} times {what}")
    if result.server is None:
        raise NotMeasuredError("its process was not seen")
    if result.work == "small":
        figures = _of_uploads(result, result.server)
    elif result.work == "slow":
        figures = _of_slow(result, result.server)
    elif result.work == "resume":
        figures = _of_offsets(result)
    else:
        figures = _of_bytes(result, result.server)
    if result.latency is not None and result.work in {"small", "resume"}:
        figures |= {"p50_ms": result.latency.p50_s * 1000, "p99_ms": result.latency.p99_s * 1000}
    return rounded(figures)


def figures_of_files(said: Mapping[str, Any]) -> dict[str, float]:
    """Return what the limit program for small files has printed, as figures of small uploads."""
    return rounded(
        {
            "uploads_per_s": said["rate"],
            "cpu_s_per_1000": said["cpu_s"] / said["count"] * 1000,
            "p50_ms": said["p50_ms"],
            "p99_ms": said["p99_ms"],
        }
    )


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Return figures with the digits that mean something."""
    return {name: float(f"{value:.5g}") for name, value in figures.items()}


def _of_bytes(result: Result, server: ServerUse) -> dict[str, float]:
    gigabytes = result.bytes / 1e9
    return {
        "gb_per_s": gigabytes / result.seconds,
        "cpu_s_per_gb": server.cpu_s / gigabytes,
        "client_cpu_s_per_gb": result.client_cpu_s / gigabytes,
        "peak_mib": server.peak_rss_bytes / MIB,
    }


def _of_uploads(result: Result, server: ServerUse) -> dict[str, float]:
    thousands = result.units / 1000
    switches = server.voluntary_switches + server.involuntary_switches
    return {
        "uploads_per_s": result.units / result.seconds,
        "cpu_s_per_1000": server.cpu_s / thousands,
        "switches_per_1000": switches / thousands,
    }


def _of_offsets(result: Result) -> dict[str, float]:
    return {"wrong_offsets": result.units - result.figures["offsets_exact_count"]}


_TRICKLING: Final = {
    "core_percent": "cpu_percent_of_a_core",
    "client_core_percent": "client_percent_of_a_core",
}


def _of_slow(result: Result, server: ServerUse) -> dict[str, float]:
    grown = server.peak_rss_bytes - server.rss_before_bytes
    figures = {"kib_per_upload": grown / result.units / 1024}
    for ours, theirs in _TRICKLING.items():
        if theirs in result.figures:  # the tool says nothing where it saw too little of it
            figures[ours] = result.figures[theirs]
    return figures
