"""Performance on a window's page: window beside reference, hostile class names as literal text."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from monitor.evaluate import evaluate
from monitor.reports.page import short_page
from tests.support.performance import fit, make_spec, window_of

HOSTILE = ("</script>", "<!channel>", "{{ x }}", "`rm`", "naïve ключ", "y" * 500)


def test_measures_stand_beside_the_reference_s(tmp_path: Path) -> None:
    """The page of a regression holds what changed and a row a measure, with the window's and the reference's value."""
    spec = make_spec("regression", "double")
    profile = fit(tmp_path, spec, pl.DataFrame({"target": [1.0, 2.0, 4.0], "prediction": [2.0, 3.0, 5.0]}))
    html = short_page(evaluate(window_of(pl.DataFrame({"target": [1.0, 2.0, 4.0], "prediction": [3.5, 4.5, 6.5]})), spec, profile), ())
    assert "Regression performance" in html
    assert "3 rows whose target is known. Reference → window: mae 1 → 2.5" in html
    row = html[html.index("<td>mae</td>") :]
    assert row.index(">2.5<") < row.index(">1<") < row.index("</tr>")


def test_a_window_without_targets_says_so(tmp_path: Path) -> None:
    """In place of a table the page says why there is none."""
    spec = make_spec("regression", "double")
    profile = fit(tmp_path, spec, pl.DataFrame({"target": [1.0, 2.0], "prediction": [2.0, 3.0]}))
    html = short_page(evaluate(window_of(pl.DataFrame({"prediction": [1.0]})), spec, profile), ())
    assert "no target is known yet" in html
    assert "<td>mae</td>" not in html


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_class_names_are_text(name: str, tmp_path: Path) -> None:
    """A class of any name appears as it is and adds no markup."""
    spec = make_spec("classification", "string")
    rows = pl.DataFrame({"target": [name, "b", "c"], "prediction": [name, "c", "c"]})
    html = short_page(evaluate(window_of(rows), spec, fit(tmp_path, spec, rows)), ())
    escaped = name.replace("<", "&lt;").replace(">", "&gt;")
    assert f">{escaped}</td>" in html
    assert f">{escaped}</th>" in html
    assert name == escaped or name not in html
