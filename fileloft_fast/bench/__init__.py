"""The load tool: any tus server, measured over the wire, and what its processes cost."""

from __future__ import annotations

from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.launch import launched
from fileloft_fast.bench.machine import describe_machine
from fileloft_fast.bench.markdown import render_report
from fileloft_fast.bench.measure import measure
from fileloft_fast.bench.process import Process
from fileloft_fast.bench.results import (
    Latency,
    Report,
    Result,
    ServerUse,
    decode_report,
    encode_report,
)
from fileloft_fast.bench.sizes import Sizes
from fileloft_fast.bench.source import Source
from fileloft_fast.bench.target import Target, discover
from fileloft_fast.bench.works import WORKS, Work

__all__ = [
    "WORKS",
    "BenchError",
    "Latency",
    "Process",
    "Report",
    "Result",
    "ServerUse",
    "Sizes",
    "Source",
    "Target",
    "Work",
    "decode_report",
    "describe_machine",
    "discover",
    "encode_report",
    "launched",
    "measure",
    "render_report",
]
