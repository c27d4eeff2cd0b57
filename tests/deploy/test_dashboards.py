"""Dashboards are what Grafana takes, and what somebody can read who was woken up."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.compose import ROOT, compose_config
from tests.deploy.promql import DASHBOARDS, Use, dashboard, missing, uses

GRAFANA = ROOT / "deploy" / "grafana"
NAMES = ("auth", "broker", "cluster", "edge", "overview")
Panel = dict[str, Any]

each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def test_uses() -> None:
    """Metrics are found wherever they stand, with the labels of all that is around them."""
    text = 'sum by (job, le) (rate(a_bucket{x!="1"}[5m])) > 2 * max without (y) (b offset 5m) or c'

    assert [
        Use("a_bucket", frozenset({"job", "le", "x"})),
        Use("b", frozenset({"y"})),
        Use("c", frozenset()),
    ] == uses(text)


def test_missing() -> None:
    """What nobody shows is named, be it a metric or a label."""
    samples = {"a": frozenset({"job", "x"})}

    assert [] == missing('sum by (job) (a{x="1"})', samples)
    assert ["b"] == missing("a / b", samples)
    assert ["a{y}"] == missing('a{y="1"}', samples)
    assert ["a{z}"] == missing("sum by (z) (a)", samples)


def test_the_dashboards_are_those() -> None:
    """One for each part, and one to begin with; each has a name of its own."""
    boards = [dashboard(path) for path in DASHBOARDS]

    assert list(NAMES) == [path.stem for path in DASHBOARDS]
    assert [f"pogo-{name}" for name in NAMES] == [board["uid"] for board in boards]
    assert len(NAMES) == len({board["title"] for board in boards})
    assert all(["pogo"] == board["tags"] for board in boards)


@each_dashboard
def test_panels_say_what_to_do(path: Path) -> None:
    """Each has a title, a description, a unit, and a name for each of its series."""
    panels: list[Panel] = dashboard(path)["panels"]

    assert 6 <= len(panels) <= 10
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["type"] == "stat" or all(each["legendFormat"] for each in panel["targets"])
        assert "${datasource}" == panel["datasource"]["uid"]


@each_dashboard
def test_panels_have_places(path: Path) -> None:
    """They lie within the 24 columns of Grafana, and none on another one."""
    panels: list[Panel] = dashboard(path)["panels"]
    places = [panel["gridPos"] for panel in panels]

    assert len(panels) == len({panel["id"] for panel in panels})
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in combinations(places, 2) if _overlap(*pair)]


def test_grafana_finds_them() -> None:
    """What compose.yaml mounts is where the providers look."""
    volumes = compose_config()["services"]["grafana"]["volumes"]
    mounts = {volume["target"]: Path(volume["source"]) for volume in volumes if "source" in volume}
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/pogo.yaml").read_text())[
        "providers"
    ]

    assert GRAFANA / "provisioning" == mounts["/etc/grafana/provisioning"]
    assert GRAFANA / "dashboards" == mounts[provider["options"]["path"]]


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )
