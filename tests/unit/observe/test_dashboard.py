"""The dashboard and the docs name metrics that there are, and every one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from fileloft_fast.observe.table import BUILD, METRICS, Kind
from tests.unit.guards.house import ROOT

DASHBOARD: Final = json.loads((ROOT / "deploy/grafana/fileloft-fast.json").read_text())
NAME: Final = re.compile(r"\b(?:tusd|fileloft|process)_[a-z_]+\b")


def expressions(panels: list[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from expressions(panel.get("panels", []))


def names() -> set[str]:
    """Return the name of everything that a scrape shows."""
    found = {BUILD.name}
    for metric in METRICS:
        ends = ("_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {metric.name + end for end in ends}
    return found


def test_each_metric_of_the_dashboard_exists() -> None:
    asked = [name for text in expressions(DASHBOARD["panels"]) for name in NAME.findall(text)]
    asked += NAME.findall(json.dumps(DASHBOARD["templating"]))
    assert len(set(asked)) > 20
    assert set(asked) - names() - {"fileloft_fast"} == set()


def test_each_metric_is_on_the_dashboard() -> None:
    text = " ".join(expressions(DASHBOARD["panels"]))
    missing = [metric.name for metric in (*METRICS, BUILD) if metric.name not in text]
    assert missing == []


def test_each_label_that_the_dashboard_groups_by_exists() -> None:
    labels = {label for metric in (*METRICS, BUILD) for label in metric.labels}
    for text in expressions(DASHBOARD["panels"]):
        for group in re.findall(r"by \(([^)]*)\)", text):
            assert {label.strip() for label in group.split(",")} <= labels | {"le", "instance"}


def test_no_two_panels_share_an_id_or_a_place() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)


def test_each_metric_is_documented() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text()
    for metric in (*METRICS, BUILD):
        assert page.count(f"\n| `{metric.name}` |") == 1
