"""Drift on purpose: what a change does to which rows, that it is the same every time, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from config.errors import UsageError
from config.settings import Settings
from config.spec import ModelSpec
from producers.replay.history import history
from producers.replay.inject import parse
from producers.replay.options import ReplayOptions
from producers.replay.sort import PLACE, TIME

SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "reference": "r.parquet",
        "features": {
            "dep delay": {"type": "double"},
            "a*b": {"type": "double"},
            "n": {"type": "long"},
            "ok": {"type": "boolean", "kind": "categorical"},
            "größe=": {"type": "string", "kind": "categorical"},
            "vector": {"type": "doubles", "kind": "embedding"},
        },
        "prediction": {"column": "p", "type": "double"},
        "window": {"size": "7d", "time_zone": "America/New_York"},
    }
)
JUNE = 1_370_059_200_000  # 1 June 2013, midnight in New York
HOUR = 3_600_000


def frame(rows: int = 4) -> pl.DataFrame:
    """Rows of consecutive hours, the first two before June."""
    return pl.DataFrame(
        {
            TIME: [JUNE + (n - 2) * HOUR for n in range(rows)],
            PLACE: np.arange(rows),
            "dep delay": [1.0, None, 3.0, 4.0] * (rows // 4),
            "a*b": [1.0] * rows,
            "n": [1, 2, 3, None] * (rows // 4),
            "ok": [True, False, None, True] * (rows // 4),
            "größe=": ["x"] * rows,
            "vector": [[1.0, 2.0], None, [], [3.0]] * (rows // 4),
        }
    )


@pytest.mark.parametrize(
    ("text", "column", "values"),
    [
        ("dep delay*2", "dep delay", [2.0, None, 6.0, 8.0]),
        ("dep delay / 2 from 2013-06-01", "dep delay", [1.0, None, 1.5, 2.0]),
        ("dep delay+10 until 2013-06-01T00:00", "dep delay", [11.0, None, 3.0, 4.0]),
        ("dep delay - 1 from 2013-06-01 00:00 until 2013-06-01 01:00", "dep delay", [1.0, None, 2.0, 4.0]),
        ("dep delay+1 from 2013-06-01T05:00:00+00:00", "dep delay", [1.0, None, 3.0, 5.0]),
        ("dep delay=null", "dep delay", [None] * 4),
        ("a*b*3", "a*b", [3.0] * 4),
        ("n*1.5", "n", [2, 3, 4, None]),
        ("n=-7", "n", [-7] * 4),
        ("ok=false", "ok", [False] * 4),
        ("größe==new value from 2013-06-01", "größe=", ["x", "x", "new value", "new value"]),
        ("größe=='from here'", "größe=", ["from here"] * 4),
        ("vector*2", "vector", [[2.0, 4.0], None, [], [6.0]]),
        ("vector=null from 2013-06-01", "vector", [[1.0, 2.0], None, None, None]),
    ],
)
def test_a_change_is_made_where_it_is_asked_for(text: str, column: str, values: list[Any]) -> None:
    """The longest column name is meant, times are local to the model's windows, nulls stay null, whole numbers stay whole."""
    changed, count = parse(text, SPEC).apply(frame())
    assert changed[column].to_list() == values
    assert changed.schema == frame().schema
    assert changed.drop(column).equals(frame().drop(column))
    assert 0 < count <= 4


def test_a_share_is_the_same_rows_every_time_and_of_that_size() -> None:
    """30 % of 20,000 rows, within four standard deviations; the same in pieces as in one; another text draws other rows."""
    whole = frame(20_000).with_columns(pl.lit(1.0).alias("dep delay"))
    injection = parse("dep delay=null for 30 %", SPEC)
    changed, count = injection.apply(whole)
    assert abs(count - 6000) < 4 * (20_000 * 0.3 * 0.7) ** 0.5
    assert changed["dep delay"].null_count() == count
    assert pl.concat([injection.apply(part)[0] for part in whole.iter_slices(777)]).equals(changed)
    other = parse("dep delay=9 for 30 %", SPEC).rows(whole)
    both = (injection.rows(whole) & other).sum()
    assert abs(both - 1800) < 4 * (20_000 * 0.09 * 0.91) ** 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nosuch*2", "no column 'nosuch'; there is dep delay, a\\*b, n"),
        ("dep delay", "no change"),
        ("dep delay*far", "'far' is no number"),
        ("dep delay*", "'' is no number"),
        ("dep delay*nan", "'nan' is no number"),
        ("dep delay/0", "divided by 0"),
        ("größe=*2", "column 'größe=' is string, \\* is for numbers"),
        ("ok=maybe", "column 'ok' is boolean, 'maybe' is not"),
        ("n=1.5", "column 'n' is long, 1.5 is no whole number"),
        ("vector=1", "column 'vector' is a vector"),
        ("dep delay*2 for 0 %", "0 % is not above 0"),
        ("dep delay*2 for 101 %", "101 % is not above 0 and up to 100"),
        ("dep delay*2 from 2013-06-02 until 2013-06-01", "2013-06-02 is not before 2013-06-01"),
        ("dep delay*2 from june", "'2 from june' is no number"),
    ],
)
def test_what_is_no_change_is_refused(text: str, said: str) -> None:
    """The message has the text, the column or value that is wrong, and how a change is written."""
    with pytest.raises(UsageError, match=said) as caught:
        parse(text, SPEC)
    assert text in caught.value.message
    assert caught.value.remedy


def written(folder: Path) -> Path:
    """A file of four rows with predictions."""
    path = folder / "h.parquet"
    times = pl.col(TIME).cast(pl.Datetime("ms", "UTC")).alias("event_time")
    frame().select(times, pl.exclude(TIME, PLACE), pl.lit(5.0).alias("p")).write_parquet(path)
    return path


def test_changes_follow_one_another_and_are_counted(tmp_path: Path) -> None:
    """Several on one column and one on the prediction: made in their order, each with the number of its rows."""
    changes = ("dep delay*2", "dep delay+1 from 2013-06-01", "p=null until 2013-06-01")
    with history(Settings(home=tmp_path), SPEC, ReplayOptions(data=written(tmp_path), inject=changes)) as rows:
        (chunk,) = rows.chunks()
        assert chunk.frame["dep delay"].to_list() == [2.0, None, 7.0, 9.0]
        assert chunk.frame["p"].to_list() == [None, None, 5.0, 5.0]
        assert rows.injected == dict(zip(changes, (4, 2, 2), strict=True))


@pytest.mark.parametrize(
    ("inject", "via", "said"),
    [
        ("dep delay*2 from 2014-01-01", "kafka", "changes no row: there are event times from 2013-06-01T02:00:00"),
        ("p*2", "service", "with --via service the service predicts"),
    ],
)
def test_a_change_that_cannot_be_is_refused_before_anything_is_sent(tmp_path: Path, inject: str, via: Any, said: str) -> None:
    """One that hits no row would make a drill of nothing; a service's predictions are not ours to change."""
    options = ReplayOptions(data=written(tmp_path), inject=(inject,), via=via)
    with pytest.raises(UsageError, match=said), history(Settings(home=tmp_path), SPEC, options):
        pass
