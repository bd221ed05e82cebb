"""The table of methods against the installed Evidently: a new version that changes a name, a default or a decision fails here."""

import numpy as np
import pandas as pd
import pytest
from evidently.legacy.calculations import stattests  # noqa: F401  # registers the methods
from evidently.legacy.calculations.stattests.registry import _registered_stat_tests, get_stattest
from evidently.legacy.core import ColumnType

from config.errors import SpecError
from monitor.statistics.methods import METHODS, chosen_method, default_method

TYPES = {"numerical": ColumnType.Numerical, "categorical": ColumnType.Categorical, "text": ColumnType.Text}
REGISTERED = [name for name, method in METHODS.items() if "embedding" not in method.kinds]  # the others: test_drift_embeddings.py
OF_VALUES = [name for name in REGISTERED if "text" not in METHODS[name].kinds]  # the others: test_drift_text.py


def test_every_method_of_evidently_is_known() -> None:
    """The table holds exactly the methods that Evidently registers, each for its kinds of column."""
    for kind, column_type in TYPES.items():
        theirs = {name for name, by_type in _registered_stat_tests.items() if column_type in by_type}
        assert theirs == {m.name for m in METHODS.values() if kind in m.kinds}
    assert set(_registered_stat_tests) == set(REGISTERED)


@pytest.mark.parametrize("name", REGISTERED)
def test_names_and_thresholds_are_evidently_s(name: str) -> None:
    """Display name and default threshold are those of the installed Evidently."""
    theirs = next(iter(_registered_stat_tests[name].values()))
    assert (METHODS[name].display_name, METHODS[name].threshold) == (theirs.display_name, theirs.default_threshold)


@pytest.mark.parametrize("name", OF_VALUES)
def test_a_score_at_the_threshold_is_decided_as_evidently_decides(name: str) -> None:
    """At a threshold equal to the score, just above and just below it, the decision is Evidently's (``<`` against ``<=``)."""
    method, kind = METHODS[name], METHODS[name].kinds[-1]
    rng = np.random.default_rng(3)
    first, second = (pd.Series(rng.integers(0, 2, 40)), pd.Series(rng.integers(0, 2, 40)))
    if kind == "numerical":
        first, second = pd.Series(rng.normal(size=40)), pd.Series(rng.normal(0.3, 1, 40))

    def run(threshold: float) -> tuple[float, bool]:
        np.random.seed(0)
        result = get_stattest(first, second, TYPES[kind], name)(first.copy(), second.copy(), TYPES[kind], threshold)
        return float(result.drift_score), bool(result.drifted)

    score, _ = run(0.5)
    for threshold in (score, np.nextafter(score, np.inf), np.nextafter(score, -np.inf)):
        assert method.hit(score, threshold) == run(threshold)[1], threshold


@pytest.mark.parametrize("kind", ["numerical", "categorical"])
@pytest.mark.parametrize("rows", [2, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("distinct", [1, 2, 3, 5, 6, 40])
def test_the_default_method_is_evidently_s(kind: str, rows: int, distinct: int) -> None:
    """Evidently's own choice, on both sides of 1000 rows and of 2 and 5 distinct values."""
    reference = pd.Series(np.arange(rows) % distinct)
    window = pd.Series(np.arange(distinct))
    assert default_method(kind, rows, distinct).name == get_stattest(reference, window, TYPES[kind], None).name  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "kind"), [("kolmogorov", "numerical"), ("chisquare", "numerical"), ("ks", "categorical")])
def test_a_wrong_method_is_refused_with_the_known_ones(name: str, kind: str) -> None:
    """An unknown method, or one for the other kind of column, gives an error that names the column, the method and the choices."""
    with pytest.raises(SpecError) as caught:
        chosen_method("dep_delay", name, kind)  # type: ignore[arg-type]
    assert "drift.columns.dep_delay.method" in caught.value.message
    assert repr(name) in caught.value.message
    assert "jensenshannon" in caught.value.remedy
