"""What the dashboards and the rules ask Prometheus for, taken out of their queries.

uses('sum by (job) (rate(errors_total{code="4009"}[5m]))')
[Use(metric="errors_total", labels=frozenset({"job", "code"}))]
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from promql_parser import AggregateExpr, Expr, VectorSelector

from tests.deploy.compose import ROOT

DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yaml"))

RATE_INTERVAL = "10s"
"""What `$__rate_interval` stands for here, where everything is scraped every second or two."""

_VARIABLES = {"$__rate_interval": RATE_INTERVAL, "$instance": ".*"}
_LABEL_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")
_LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Use:
    """A metric, and the labels that it is expected to have."""

    metric: str
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Query:
    """One query, and where it stands."""

    where: str
    text: str
    legend: frozenset[str] = field(default_factory=frozenset)
    """The labels that name its series."""

    def __str__(self) -> str:
        return self.where


def uses(text: str) -> list[Use]:
    """Return what a query reads, with the labels that it selects, groups and matches by.

    Raises:
        ValueError: It is no PromQL.
    """
    found: list[Use] = []
    groups: list[list[str]] = []

    def enter(node: Expr) -> None:
        if isinstance(node, AggregateExpr):
            groups.append(node.modifier.labels if node.modifier else [])
        elif isinstance(node, VectorSelector):
            found.append(_use(node, groups))

    def leave(node: Expr) -> None:
        if isinstance(node, AggregateExpr):
            groups.pop()

    promql_parser.walk(promql_parser.parse(text), enter, leave)
    return found


def missing(text: str, samples: Mapping[str, frozenset[str]]) -> list[str]:
    """Name what a query reads that is not among the samples, given by name with their labels."""
    lacks = []
    for use in uses(text):
        if use.metric not in samples:
            lacks.append(use.metric)
        else:
            lacks += [f"{use.metric}{{{label}}}" for label in use.labels - samples[use.metric]]
    return lacks


def _use(selector: VectorSelector, groups: list[list[str]]) -> Use:
    labels = [matcher.name for matcher in selector.matchers.matchers]
    return Use(selector.name or "", frozenset(labels).union(*groups))


def dashboard(path: Path) -> dict[str, Any]:
    """Read a dashboard."""
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def dashboard_queries() -> Iterator[Query]:
    """Yield the queries of all panels, with their variables filled in."""
    for path in DASHBOARDS:
        for panel in dashboard(path)["panels"]:
            for target in panel["targets"]:
                legend = frozenset(_LEGEND_LABEL.findall(target["legendFormat"]))
                where = f"{path.stem}: {panel['title']} {target['refId']}"
                yield Query(where, _filled(target["expr"]), legend)


def variable_queries() -> Iterator[Query]:
    """Yield what the choices of dashboards are read from, as PromQL."""
    for path in DASHBOARDS:
        for variable in dashboard(path)["templating"]["list"]:
            if variable["type"] == "query":
                ((metric, label),) = _LABEL_VALUES.findall(variable["query"]["query"])
                yield Query(f"{path.stem}: ${variable['name']}", f"group by ({label}) ({metric})")


def rules() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield all alerts, and the file of each."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path, rule


def rule_queries() -> Iterator[Query]:
    """Yield what alerts are made of."""
    for _, rule in rules():
        yield Query(rule["alert"], rule["expr"])


def _filled(text: str) -> str:
    for name, value in _VARIABLES.items():
        text = text.replace(name, value)
    return text
