"""A file that cannot be used ends `tidemark init` with one message that says where, exit code 2, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from compose.onboard.init import run_init
from config.errors import TidemarkError, UsageError
from config.settings import Settings
from producers.onboard import InitOptions
from tests.unit.test_command_errors import assert_told, tidemark

ROWS = 40


def settings_in(home: Path) -> Settings:
    return Settings.model_validate({"home": home, "specs_dir": home / "specs", "schema_registry_url": ""})


def table(row: Callable[[int], str], header: str = "time,x,prediction", rows: int = ROWS) -> str:
    """A CSV file whose rows follow from their numbers; row 0 is on line 2."""
    return "\n".join([header, *(row(i) for i in range(rows))]) + "\n"


def hour(i: int) -> str:
    return f"2024-01-{1 + i // 24:02d}T{i % 24:02d}:00:00"


def plain(i: int) -> str:
    return f"{hour(i)},{i * 7 % 5},{i % 3}"


def refused(tmp_path: Path, content: str | bytes, name: str = "bad.csv", **more: object) -> str:
    """The message that the file is refused with; proves the exit code, and that nothing is left behind."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    home = tmp_path / "home"
    with pytest.raises(UsageError) as raised:
        run_init(settings_in(home), InitOptions(path, **more), force=False)  # type: ignore[arg-type]
    assert raised.value.exit_code == 2
    assert raised.value.remedy
    assert [p for p in home.rglob("*") if p.is_file()] == []
    return raised.value.message.replace(str(path), name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "bad.csv is empty"),
        ("\n\n", "bad.csv has no row"),
        ("time,x,prediction\n", "bad.csv has no rows"),
        (table(plain, rows=1), "bad.csv has 1 row: too few"),
        ("1,2,3\n" * ROWS, "line 1: there is no header"),
        (bytes(range(256)) * 40, "a NUL character"),
        (b"\x1f\x8b\x08rest", "bad.csv is packed"),
        (b"PAR1 and no more", "bad.csv cannot be read as Parquet"),
    ],
    ids=["empty", "blank", "header only", "one row", "no header", "binary", "packed", "broken Parquet"],
)
def test_no_table(tmp_path: Path, content: str | bytes, said: str) -> None:
    """What holds no table says what it holds instead."""
    assert said in refused(tmp_path, content)


def test_no_time_column(tmp_path: Path) -> None:
    """Without a column named like a time the user is asked for it; a column that holds no times is named with an example."""
    content = table(lambda i: f"a{i},{i},1", "when_ever,x,prediction")
    assert "no column is named like an event time" in refused(tmp_path, content)
    assert "'when_ever' holds no times of a known form, such as 'a0'" in refused(tmp_path, content, time=("when_ever",))
    assert "no column 'wen' (--time); it has 'when_ever', 'x'" in refused(tmp_path, content, time=("wen",))


def test_mixed_time_zones(tmp_path: Path) -> None:
    """One time without a zone among others with one, and the other way round, is told by line and column."""
    bare = table(lambda i: f"{hour(i)}{'' if i == 20 else 'Z'},{i},1")
    assert refused(tmp_path, bare).startswith("bad.csv, line 22, column 'time': '2024-01-01T20:00:00' names no time zone, others do")
    zoned = table(lambda i: f"{hour(i)}{'+01:00' if i == 20 else ''},{i},1")
    assert refused(tmp_path, zoned).startswith("bad.csv, line 22, column 'time': '2024-01-01T20:00:00+01:00' names a time zone")


def test_a_row_without_a_time(tmp_path: Path) -> None:
    """A missing event time is told by line, also where quoted fields span lines before it."""
    content = table(lambda i: f'{"" if i == 30 else hour(i)},"a\nb",{i % 3}')
    assert refused(tmp_path, content).startswith("bad.csv, line 62, column 'time': has no event time")


def test_a_time_that_did_not_exist(tmp_path: Path) -> None:
    """A local time that the clocks skipped is told, and not moved silently."""
    content = table(lambda i: f"2024-03-31 0{i % 2 + 1}:30:00,{i},1")
    message = refused(tmp_path, content, time_zone="Europe/Berlin")
    assert message.startswith("bad.csv, line 3, column 'time': '2024-03-31 02:30:00' does not exist in Europe/Berlin")


def test_day_or_month_first(tmp_path: Path) -> None:
    """Dates that can be read both ways are not guessed."""
    content = table(lambda i: f"{1 + i * 5 % 12:02d}/{1 + i * 7 % 12:02d}/2024,{i % 4},1")
    assert "could have the day or the month first" in refused(tmp_path, content)


def test_mixed_types(tmp_path: Path) -> None:
    """One text among numbers is told by line, column and value."""
    message = refused(tmp_path, table(lambda i: f"{hour(i)},{'abc' if i == 17 else i},1"))
    assert message == "bad.csv, line 19, column 'x': 'abc' is no number; 39 of 40 values of the column are: mixed types"


def test_duplicated_columns(tmp_path: Path) -> None:
    """Two columns of one name are told with their places."""
    assert refused(tmp_path, table(plain, "time,x,x")) == "bad.csv, line 1: 2 columns 'x': columns 2 and 3"


def test_ten_thousand_columns(tmp_path: Path) -> None:
    """More columns than an event can have are counted, not tried."""
    names = ",".join(f"c{i}" for i in range(10_000))
    content = table(lambda i: f"{hour(i)},{'1,' * 9_999}1", f"time,{names}")
    assert "bad.csv has 10,001 columns, an event has at most 5,000" in refused(tmp_path, content)


@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_broken_encoding(tmp_path: Path, encoding: str | None) -> None:
    """Bytes that are no UTF-8 in a file that is, are told by line and column, and not read as something else."""
    content = table(lambda i: f"{hour(i)},Köln{i % 3},1").encode().replace(b"2024-01-02T13:00:00,K", b"2024-01-02T13:00:00,\xff")
    assert refused(tmp_path, content, encoding=encoding) == "bad.csv, line 39, column 21: byte 0xff is no utf-8 text"


def test_rows_of_several_lengths(tmp_path: Path) -> None:
    """A row with too few or too many fields is told by line."""
    assert refused(tmp_path, table(lambda i: plain(i) + (",9" if i == 11 else ""))) == "bad.csv, line 13: 4 fields, the header has 3"


def test_no_prediction(tmp_path: Path) -> None:
    """Without a prediction the two ways to one are told."""
    assert "no column that is named like the model's prediction" in refused(tmp_path, table(plain, "time,x,z"))


def test_an_unpulled_dvc_file(tmp_path: Path) -> None:
    """A pointer whose file is nowhere says what to pull."""
    pointer = b"outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: bad.csv\n"
    assert "points at bad.csv (md5 0123456789abcdef0123456789abcdef), which is not here" in refused(tmp_path, pointer, "bad.csv.dvc")


def test_a_parquet_time_without_values(tmp_path: Path) -> None:
    """In Parquet, where there are no lines, the row is named."""
    path = tmp_path / "bad.parquet"
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 2), "1h", eager=True)
    frame = pl.DataFrame({"time": times, "x": range(25), "prediction": [0.5] * 25})
    frame.with_columns(pl.when(pl.col("x") != 7).then("time").alias("time")).write_parquet(path)
    assert "row 8, column 'time': has no event time" in refused(tmp_path, path.read_bytes(), "bad.parquet")


def test_a_failure_at_the_end_leaves_nothing(tmp_path: Path) -> None:
    """A schema folder that cannot be written fails the command after all else is ready: no spec and no reference stays."""
    path, home = tmp_path / "good.csv", tmp_path / "home"
    path.write_text(table(plain))
    home.mkdir()
    (home / "schemas").write_text("in the way")
    with pytest.raises(TidemarkError, match="schemas cannot be written"):
        run_init(settings_in(home), InitOptions(path), force=False)
    assert [p for p in home.rglob("*") if p.is_file()] == [home / "schemas"]


def test_the_command_tells_it_in_one_message(tmp_path: Path) -> None:
    """The command ends with the message, its remedy and exit code 2, without a traceback."""
    path = tmp_path / "bad.csv"
    path.write_text(table(lambda i: f"{hour(i)},{'abc' if i == 17 else i},1"))
    done = tidemark(tmp_path / "home", "init", "--data", str(path), specs_dir=tmp_path / "home" / "specs")
    assert_told(done, 2, "line 19", "column 'x'", "--null 'abc'")
    assert not (tmp_path / "home").exists()
