"""Alerts fire when they should and not else, and lead to what is to be done."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.compose import ROOT
from tests.deploy.promql import RULES, rules

PROMETHEUS = ROOT / "deploy" / "prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
ALERTS = [rule for _, rule in rules()]

_LABEL = re.compile(r"\$labels\.(\w+)")
_PAIR = re.compile(r'(\w+)="([^"]*)"')

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def _promtool(*arguments: str | Path) -> str:
    """Run promtool, which must be content, and return what it says."""
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, cwd=PROMETHEUS
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def _fired(alert: str) -> list[dict[str, str]]:
    """Return the labels with which an alert fires in the tests."""
    return [
        labels
        for test in _tests()
        for check in test["promql_expr_test"]
        for sample in check["exp_samples"]
        if (labels := dict(_PAIR.findall(sample["labels"])))["alertname"] == alert
    ]


def _tests() -> list[dict[str, Any]]:
    return [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]


def test_prometheus_takes_its_configuration() -> None:
    """With all rules that it names."""
    said = _promtool("check", "config", "prometheus.yml")

    assert len(RULES) == said.count("rules found")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules(path: Path) -> None:
    """Each alert fires at its time and ends, and no other one does."""
    _promtool("test", "rules", path)


def test_each_file_of_rules_is_tested() -> None:
    """By a file of the same name."""
    assert [path.name for path in RULES] == [path.name for path in TESTS]


def test_names() -> None:
    """Each alert has a name of its own."""
    names = [alert["alert"] for alert in ALERTS]

    assert sorted(names) == sorted(set(names))


@each_alert
def test_alert_is_tested(alert: dict[str, Any]) -> None:
    """In a test that begins with its name, it fires, and at another time or for others does not."""
    name = alert["alert"]
    own = [test for test in _tests() if test["name"].split()[0] == name]
    checks = [check for test in own for check in test["promql_expr_test"]]

    assert _fired(name)
    assert [] in [check["exp_samples"] for check in checks]


@each_alert
def test_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """It has a severity, a sentence, what it means, and a section of the guide."""
    notes = alert["annotations"]
    page, _, anchor = notes["runbook_url"].partition("#")
    sections = re.findall(r"^### (\w+)$", (ROOT / page).read_text(), re.MULTILINE)

    assert alert["labels"]["severity"] in ("warning", "critical")
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert anchor in [section.lower() for section in sections]


@each_alert
def test_alert_has_the_labels_that_it_speaks_of(alert: dict[str, Any]) -> None:
    """Else there would be holes in its sentences."""
    spoken = {label for text in alert["annotations"].values() for label in _LABEL.findall(text)}

    assert all(spoken <= labels.keys() for labels in _fired(alert["alert"]))
