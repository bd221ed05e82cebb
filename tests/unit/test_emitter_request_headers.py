"""The headers of a prediction request: read per row, or refused by name."""

from __future__ import annotations

import pytest

from config.errors import UsageError
from config.spec import Column
from examples.flights.request import IDS, RUN, TARGETS, TIMES, Marks, check_rows, read_marks

FEATURES = {"a": Column(type="double"), "b": Column(type="string", kind="categorical")}


def test_no_headers_is_live_traffic() -> None:
    """Without headers the run is ``live`` and ids, times and targets are left to the emitter."""
    assert read_marks({}, 2) == Marks("live", (None, None), (None, None), (None, None))


def test_headers_give_one_value_per_row() -> None:
    """Values stand in the rows' order; an empty target is an unknown one."""
    headers = {RUN: "replay-1", TIMES: "1000, -5", IDS: "a,b", TARGETS: "1.5,"}
    assert read_marks(headers, 2) == Marks("replay-1", (1000, -5), ("a", "b"), (1.5, None))


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({RUN: "no spaces"}, f"{RUN}: 'no spaces'"),
        ({RUN: ""}, f"{RUN}: ''"),
        ({TIMES: "1"}, f"{TIMES} has 1 values for 2 rows"),
        ({TIMES: "1,2013-01-01"}, f"{TIMES}: '2013-01-01'"),
        ({TIMES: "1,999999999999999999"}, f"{TIMES}: '999999999999999999'"),
        ({IDS: "a,"}, f"{IDS}: ''"),
        ({IDS: "a,b,c"}, f"{IDS} has 3 values for 2 rows"),
        ({TARGETS: "1,nan"}, f"{TARGETS}: 'nan'"),
        ({TARGETS: "1,late"}, f"{TARGETS}: 'late'"),
    ],
)
def test_bad_header_is_named_with_its_value(headers: dict[str, str], named: str) -> None:
    """A header that cannot be used is refused with its name and value, and a remedy."""
    with pytest.raises(UsageError) as caught:
        read_marks(headers, 2)
    assert named in caught.value.message
    assert caught.value.remedy


def test_missing_column_is_named_with_its_row() -> None:
    """A row that lacks columns is refused with its number and their names; null is a value."""
    check_rows([{"a": 1, "b": None}], FEATURES)
    with pytest.raises(UsageError, match=r"rows\[1\] has no b"):
        check_rows([{"a": 1, "b": "x"}, {"a": 1}], FEATURES)


@pytest.mark.parametrize(("column", "value"), [("a", "soon"), ("a", True), ("b", 5), ("b", ["x"])])
def test_value_of_another_type_is_named(column: str, value: object) -> None:
    """A value of another type is refused with its row, column and type."""
    with pytest.raises(UsageError, match=rf"rows\[0\]: {column} is .* of type {type(value).__name__}"):
        check_rows([{"a": 1.5, "b": "x", column: value}], FEATURES)
