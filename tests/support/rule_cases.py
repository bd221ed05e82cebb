"""Cases for ``promtool test rules`` as a table: what series there are, when an alert fires, and when it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Labels = dict[str, str]
STEP = "5s"


@dataclass(frozen=True, slots=True)
class Case:
    """One test of one alert.

    Attributes:
        alert: its name.
        fact: what is shown.
        series: samples by series, in promtool's notation, one every ``step``.
        firing: labels of the alerts that fire (severity aside), by time.
        quiet: times at which it does not fire.
        step: time between samples.
    """

    alert: str
    fact: str
    series: dict[str, str]
    firing: dict[str, list[Labels]] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()
    step: str = STEP

    def as_test(self, severity: str) -> dict[str, Any]:
        """The case as promtool reads it."""
        wanted = {time: [{"exp_labels": {"severity": severity} | labels} for labels in alerts] for time, alerts in self.firing.items()}
        wanted |= {time: [] for time in self.quiet}
        return {
            "name": f"{self.alert}: {self.fact}",
            "interval": self.step,
            "input_series": [{"series": s, "values": v} for s, v in self.series.items()],
            "alert_rule_test": [{"alertname": self.alert, "eval_time": time, "exp_alerts": alerts} for time, alerts in wanted.items()],
        }


def alone(alert: str, rules: Path, **changes: Any) -> dict[str, Any]:
    """The content of a rule file with one alert and every recording rule, without texts: cases are about when alerts fire.

    Args:
        alert: its name.
        rules: the folder of rule files; the one that has the alert is read.
        changes: fields of the alert's rule to overwrite.
    """
    for path in rules.glob("*.yml"):
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        if any(r.get("alert") == alert for g in content["groups"] for r in g["rules"]):
            break
    for group in content["groups"]:
        kept = [r for r in group["rules"] if r.get("alert", alert) == alert]
        group["rules"] = [{k: v for k, v in r.items() if k != "annotations"} | (changes if "alert" in r else {}) for r in kept]
    return {"groups": [g for g in content["groups"] if g["rules"]]}


def write_tests(cases: list[Case], rules: Path, folder: Path, **changes: Any) -> list[Path]:
    """Write files for ``promtool test rules``, one for each alert and step, evaluated at that step; ``changes`` as in ``alone``."""
    files = []
    for alert, step in dict.fromkeys((c.alert, c.step) for c in cases):
        content = alone(alert, rules, **changes)
        (folder / f"{alert}.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        severity = next(r["labels"]["severity"] for g in content["groups"] for r in g["rules"] if "alert" in r)
        tests = [c.as_test(severity) for c in cases if (c.alert, c.step) == (alert, step)]
        files.append(folder / f"{alert}-{step}.test")
        text = yaml.safe_dump({"rule_files": [f"{alert}.yml"], "evaluation_interval": step, "tests": tests}, sort_keys=False)
        files[-1].write_text(text, encoding="utf-8")
    return files
